"""Pieces as piano rolls, and the accounts of how they were read.

A frame holds the notes that sound at one step of the grid; a note is its MIDI number, of which a piano has 21 (A0) to
108 (C8). Letters: T frames, K the 88 notes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError
from ..text.account import TextAccount as Account

LOWEST, HIGHEST = 21, 108
NOTES = HIGHEST - LOWEST + 1
TUNE_FRAMES = 16
"""Frames of the top voice, as far as it moves, that a tune is known by."""

OutOfRange = Literal["refuse", "drop"]
Roll = NDArray[np.bool_]


@dataclass(frozen=True)
class Piece:
    """One piece of T frames."""

    name: str
    """Where it stands, e.g. `train[3]` or `bwv1.6`."""

    roll_TK: Roll

    def __len__(self) -> int:
        return len(self.roll_TK)

    def notes(self) -> list[list[int]]:
        """The MIDI numbers of every frame."""
        return [(np.flatnonzero(row_K) + LOWEST).tolist() for row_K in self.roll_TK]

    def range(self) -> tuple[int, int] | None:
        """The lowest and the highest MIDI number; None where nothing sounds."""
        columns = np.flatnonzero(self.roll_TK.any(axis=0))
        return (int(columns[0]) + LOWEST, int(columns[-1]) + LOWEST) if len(columns) else None

    def moved(self, semitones: int) -> Piece:
        """In another key.

        Raises:
            DataError: a note would leave the piano.
        """
        found = self.range()
        if found and (found[0] + semitones < LOWEST or found[1] + semitones > HIGHEST):
            raise DataError(f"has notes {found[0]} to {found[1]}: {semitones:+d} semitones leave {LOWEST}-{HIGHEST}",
                            place=self.name)  # fmt: skip
        return replace(self, roll_TK=np.roll(self.roll_TK, semitones, axis=1))


@dataclass(frozen=True)
class Music:
    """What was read: pieces by split, `all` where there are no splits, and what there is to say of each."""

    parts: Mapping[str, tuple[Piece, ...]]
    accounts: Mapping[str, Account]

    def lines(self) -> list[str]:
        """For the log."""
        return [line for account in self.accounts.values() for line in account.lines()]


def piece_of(name: str, frames: Sequence[Iterable[int]], account: Account, out_of_range: OutOfRange) -> Piece:
    """A piece from MIDI numbers; those that no piano has are refused, or left out and counted.

    Raises:
        DataError: a number out of range, where that is refused.
    """
    roll_TK = np.zeros((len(frames), NOTES), bool)
    for step, notes in enumerate(frames):
        for note in notes:
            if LOWEST <= note <= HIGHEST:
                roll_TK[step, note - LOWEST] = True
            elif out_of_range == "refuse":
                raise DataError(f"frame {step + 1} has the note {note}; MIDI numbers of a piano are {LOWEST} to "
                                f"{HIGHEST}", place=name, hint="data.out_of_range: drop leaves such notes out")
            else:
                note_down(account, f"notes out of {LOWEST}-{HIGHEST} left out")
    return Piece(name, roll_TK)


def settled(name: str, pieces: Iterable[Piece], account: Account) -> tuple[Piece, ...]:
    """The pieces that can be learnt from: two frames at least, and a note in one of them; the others are counted."""
    kept = []
    for piece in pieces:
        account.read += 1
        if len(piece) < 2:
            account.dropped["shorter than two frames"] = account.dropped.get("shorter than two frames", 0) + 1
        elif not piece.roll_TK.any():
            account.dropped["without a note"] = account.dropped.get("without a note", 0) + 1
        else:
            kept.append(piece)
    account.kept = len(kept)
    silent = sum(int((~piece.roll_TK.any(axis=1)).sum()) for piece in kept)
    note_down(account, "frames in which nothing sounds", silent)
    return tuple(kept)


def note_down(account: Account, what: str, count: int = 1) -> None:
    """Add to what is odd and stayed."""
    account.noted[what] = account.noted.get(what, 0) + count


def thinned(piece: Piece, every: int) -> Piece:
    """Every so many frames, the first included."""
    return piece if every == 1 else replace(piece, roll_TK=piece.roll_TK[::every])


def exact_key(piece: Piece) -> bytes:
    """The same for the same music, in whatever key."""
    found = piece.range()
    low = found[0] - LOWEST if found else 0
    return len(piece).to_bytes(4, "big") + np.packbits(np.roll(piece.roll_TK, -low, axis=1)).tobytes()


def tune_key(piece: Piece) -> tuple[int, ...]:
    """The same for the same begin of the top voice, in whatever key: its steps, held notes left out."""
    tops = [int(np.flatnonzero(row_K)[-1]) for row_K in piece.roll_TK if row_K.any()]
    moves = np.diff(np.array(tops))
    return tuple(moves[moves != 0][: TUNE_FRAMES - 1].tolist())
