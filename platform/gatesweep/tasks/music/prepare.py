"""Pieces of each split: the catalogue's chorales, a published set, or any music at a path.

Scores have no splits of their own. They are shared out by their tunes: pieces whose top voice begins alike, in whatever
key, stay together, so that no chorale is learnt in one harmonisation and tested in another.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gatesweep.config.digest import digest
from gatesweep.data.fetch import Dataset, ensure, user_data
from gatesweep.data.music.reading import read_music
from gatesweep.data.music.rolls import Music, Piece, thinned, tune_key
from gatesweep.data.music.scores import read_chorales
from gatesweep.errors import DataError
from gatesweep.tasks.music.config import EMBEDDED, MusicData

SPLITS = ("train", "val", "test")
HELD_OUT = 0.15
"""Share of the pieces in val, and in test, where they are shared out here."""
KEPT = 4
_cache: OrderedDict[str, Prepared] = OrderedDict()


@dataclass(frozen=True)
class Prepared:
    """Shared between the trainings of a process: nobody writes to it."""

    splits: Mapping[str, tuple[Piece, ...]]
    notes: tuple[str, ...]
    """What there is to say of the reading."""


def open_data(data: MusicData, say: Callable[[str], None]) -> Dataset:
    """The set, verified, or the user's file or folder."""
    return ensure(EMBEDDED, say=say) if data.name == EMBEDDED else user_data(str(data.path))


def prepare(dataset: Dataset, data: MusicData) -> Prepared:
    """Read, share out, thin.

    Raises:
        DataError: no training or no val pieces, or as the readers.
    """
    music = _read(dataset, data)
    parts, notes = dict(music.parts), music.lines()
    if "all" in parts:
        parts, note = shared_out(parts["all"])
        notes.append(note)
    missing = [split for split in ("train", "val") if not parts.get(split)]
    if missing:
        raise DataError(f"there are no pieces of '{missing[0]}'", place=str(dataset.path),
                        hint="a set needs train and val; as scores, some twenty of different tunes")
    parts = ready(parts, data)
    if data.fraction < 1:
        parts["train"] = _some(parts["train"], data.fraction)
    if "test" not in parts:
        notes.append("there is no test split: the run is scored on val alone")
    return Prepared(parts, (*notes, *repeated(parts)))


def read_other(path: Path, data: MusicData) -> Mapping[str, tuple[Piece, ...]]:
    """Another file or folder, thinned as the training's own; scores are `all`."""
    music = read_music(user_data(path).path, grid=data.grid, out_of_range=data.out_of_range)
    return ready(music.parts, data)


def ready(parts: Mapping[str, Sequence[Piece]], data: MusicData) -> dict[str, tuple[Piece, ...]]:
    """Pieces on the grid that is asked for.

    Raises:
        DataError: a piece of which a single frame is left.
    """
    found = {split: tuple(thinned(piece, data.every) for piece in pieces) for split, pieces in parts.items()}
    for piece in (each for pieces in found.values() for each in pieces):
        if len(piece) < 2:
            raise DataError(f"one frame is left of it by every: {data.every}", place=piece.name,
                            hint="a smaller data.every")
    return found


def shared_out(pieces: Sequence[Piece]) -> tuple[dict[str, tuple[Piece, ...]], str]:
    """Whole tunes to test and val, drawn once and for all, until each has its share; and a line for the log."""
    keys = [tune_key(piece) for piece in pieces]
    tunes = list(dict.fromkeys(keys))
    sizes, split_of = Counter(keys), dict.fromkeys(tunes, "train")
    drawn = iter([tunes[i] for i in np.random.default_rng(0).permutation(len(tunes))])
    for split in ("test", "val"):
        taken = 0
        while taken < HELD_OUT * len(pieces) and (tune := next(drawn, None)) is not None:
            split_of[tune], taken = split, taken + sizes[tune]
    parts = {split: tuple(piece for piece, key in zip(pieces, keys, strict=True) if split_of[key] == split)
             for split in SPLITS}  # fmt: skip
    return parts, f"shared out by {len(tunes):,} tunes (the top voice's begin, in whatever key)"


def repeated(parts: Mapping[str, Sequence[Piece]]) -> list[str]:
    """A line for each later split that has pieces of an earlier one, whatever the key."""
    from gatesweep.data.music.quality import leakage

    return [f"note: {count} pieces of {names.partition('-')[2]} stand in {names.partition('-')[0]} too, in some key"
            for names, count in leakage(parts).items() if count]  # fmt: skip


def kept(data: MusicData, key: str, load: Callable[[], Prepared]) -> Prepared:
    """What this process has prepared for the same settings and bytes, or what `load` makes now."""
    mattering = ("name", "grid", "every", "out_of_range", "fraction")
    key = digest([{name: getattr(data, name) for name in mattering}, key])
    if key not in _cache:
        _cache[key] = load()
        while len(_cache) > KEPT:
            _cache.popitem(last=False)
    _cache.move_to_end(key)
    return _cache[key]


def _read(dataset: Dataset, data: MusicData) -> Music:
    if data.name == EMBEDDED:
        return read_chorales(dataset, data.grid)
    return read_music(dataset.path, name=data.name, grid=data.grid, out_of_range=data.out_of_range)


def _some(pieces: tuple[Piece, ...], fraction: float) -> tuple[Piece, ...]:
    count = max(1, round(fraction * len(pieces)))
    return tuple(pieces[i] for i in np.linspace(0, len(pieces), count, endpoint=False).astype(int))
