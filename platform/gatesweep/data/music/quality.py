"""music_quality(name or path): what is wrong with pieces, in numbers, before anybody trains on them.

    repeated     pieces that are another of their split note for note, or so in another key
    leakage      pieces of a later split that an earlier one has, in whatever key; and tunes (the top voice's begin)
    stuck        the longest run of one frame
    drift        total variation distance between how often two splits use each note: ½ Σ_k |p_k - q_k|, 0 to 1
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np

from .. import catalogue
from ..fetch import ensure
from ..own import user_data
from ..scratch import Say
from .reading import read_music
from .rolls import Music, Piece, exact_key, tune_key
from .scores import read_chorales


@dataclass(frozen=True)
class PiecesQuality:
    """One split."""

    split: str
    read: int
    pieces: int
    dropped: dict[str, int]
    noted: dict[str, int]
    frames: int
    shortest: int
    longest: int
    lowest: int
    highest: int
    """MIDI numbers."""
    notes_a_frame: float
    most_notes: int
    held: float
    """Share of the frames that are what the frame before is."""
    stuck: int
    repeated: int
    repeated_in_another_key: int

    def rows_of_table(self) -> list[tuple[str, str]]:
        """Label and value."""
        name = self.split
        rows = [(f"{name}: pieces", f"{self.read:,} read, {self.pieces:,} kept")]
        rows += [("  dropped", f"{count:,} {rule}") for rule, count in self.dropped.items() if count]
        rows += [("  noted", f"{count:,} {what}") for what, count in self.noted.items() if count]
        return [*rows, (f"{name}: frames", f"{self.frames:,}; a piece {self.shortest:,} to {self.longest:,}"),
                (f"{name}: notes", f"{self.lowest} to {self.highest}; {self.notes_a_frame:.2f} a frame, at most "
                                   f"{self.most_notes}"),
                (f"{name}: as the frame before", f"{self.held:.1%}, longest run {self.stuck:,}"),
                (f"{name}: repeated pieces", f"{self.repeated:,}; in another key {self.repeated_in_another_key:,}")]


@dataclass(frozen=True)
class MusicReport:
    """All findings about one set."""

    name: str
    parts: list[PiecesQuality]
    leakage: dict[str, int]
    """`train-test` -> pieces of the second that the first has, in some key."""
    tunes: dict[str, int]
    """The same of tunes."""
    drift: dict[str, float]

    def rows_of_table(self) -> list[tuple[str, str]]:
        """Label and value, for a table of two columns."""
        rows = [row for part in self.parts for row in part.rows_of_table()]
        return rows + [(f"leakage {each}", f"{count:,} equal pieces, {self.tunes[each]:,} of a tune of the first; "
                                           f"drift of the notes {self.drift[each]:.3f}")
                       for each, count in self.leakage.items()]  # fmt: skip

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self)


def music_quality(name: str, *, say: Say = lambda line: None) -> MusicReport:
    """The report on the set `chorales`, at sixteenths, or on music of the user's.

    Raises:
        DataError: no such set or path, or as the readers.
    """
    if name in catalogue.names():
        return judge(name, read_chorales(ensure(name, say=say), "sixteenth"))
    place = user_data(name).path
    return judge(place.name, read_music(place, grid="sixteenth", out_of_range="drop"))


def judge(name: str, music: Music) -> MusicReport:
    """Of music that is already read."""
    parts = {split: pieces for split, pieces in music.parts.items() if pieces}
    found = [_judge(split, pieces, music) for split, pieces in parts.items()]
    use = {split: _use(pieces) for split, pieces in parts.items()}
    drift = {f"{a}-{b}": float(abs(use[a] - use[b]).sum() / 2) for a, b in combinations(use, 2)}
    return MusicReport(name, found, leakage(parts), _shared(parts, tune_key), drift)


def leakage(parts: Mapping[str, Sequence[Piece]]) -> dict[str, int]:
    """For each two splits: pieces of the later one that the earlier one has, in whatever key."""
    return _shared(parts, exact_key)


def _shared(parts: Mapping[str, Sequence[Piece]], key: Callable[[Piece], Hashable]) -> dict[str, int]:
    keys = {split: [key(piece) for piece in pieces] for split, pieces in parts.items()}
    return {f"{a}-{b}": sum(each in early for each in keys[b])
            for a, b in combinations(keys, 2) for early in [set(keys[a])]}


def _judge(split: str, pieces: Sequence[Piece], music: Music) -> PiecesQuality:
    account = music.accounts[split]
    sounding_N = np.concatenate([piece.roll_TK.sum(axis=1) for piece in pieces])
    same = [(piece.roll_TK[1:] == piece.roll_TK[:-1]).all(axis=1) for piece in pieces]
    ranges = [found for piece in pieces if (found := piece.range())]
    whole = Counter((piece.range(), exact_key(piece)) for piece in pieces)
    moved = Counter(exact_key(piece) for piece in pieces)
    repeated = sum(whole.values()) - len(whole)
    return PiecesQuality(
        split, account.read, len(pieces), dict(account.dropped), dict(account.noted), int(sum(map(len, pieces))),
        min(map(len, pieces)), max(map(len, pieces)), min(low for low, _ in ranges), max(high for _, high in ranges),
        float(sounding_N.mean()), int(sounding_N.max()), float(np.concatenate(same).mean()), max(map(_run, same)),
        repeated, sum(moved.values()) - len(moved) - repeated,
    )  # fmt: skip


def _run(same: np.ndarray[Any, np.dtype[np.bool_]]) -> int:
    """Frames of the longest run of one frame."""
    breaks = np.flatnonzero(np.concatenate(([True], ~same, [True])))
    return int(np.diff(breaks).max())


def _use(pieces: Sequence[Piece]) -> np.ndarray[Any, np.dtype[np.float64]]:
    counts_K = np.sum([piece.roll_TK.sum(axis=0) for piece in pieces], axis=0).astype(np.float64)
    return counts_K / counts_K.sum()
