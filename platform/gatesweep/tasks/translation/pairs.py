"""Sentence pairs of one split: cleaned by declared rules, every one of which counts what it does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from gatesweep.errors import DataError


@dataclass(frozen=True)
class Pairs:
    """Line i of one side says what line i of the other says."""

    source: tuple[str, ...]
    target: tuple[str, ...]
    notes: tuple[str, ...] = field(default_factory=tuple)
    """What was left out, one line for the log each."""

    def __len__(self) -> int:
        return len(self.source)

    def some(self, fraction: float) -> Pairs:
        """Every so many-th pair, evenly from the whole."""
        count = max(1, round(fraction * len(self)))
        chosen = np.linspace(0, len(self), count, endpoint=False).astype(int).tolist()
        return self.at(chosen) if count < len(self) else self

    def at(self, index: Sequence[int]) -> Pairs:
        """These pairs."""
        return Pairs(tuple(self.source[i] for i in index), tuple(self.target[i] for i in index), self.notes)


def cleaned(source: Sequence[str], target: Sequence[str], *, split: str, place: str) -> Pairs:
    """White space made single; pairs with an empty side left out, and counted.

    Raises:
        DataError: not as many lines on one side as on the other, or nothing is left.
    """
    if len(source) != len(target):
        raise DataError(f"'{split}' has {len(source):,} lines on one side and {len(target):,} on the other: they cannot"
                        " be paired", place=place, hint="line i of both files must be the same sentence")
    rows = [(" ".join(a.split()), " ".join(b.split())) for a, b in zip(source, target, strict=True)]
    full = [(a, b) for a, b in rows if a and b]
    if not full:
        raise DataError(f"'{split}' has no pair of sentences with text on both sides", place=place)
    empty = len(rows) - len(full)
    notes = (f"{split}: {empty:,} pairs with an empty side left out",) if empty else ()
    return Pairs(tuple(a for a, _ in full), tuple(b for _, b in full), notes)


def joined(parts: Sequence[Pairs]) -> Pairs:
    """One after the other."""
    return Pairs(tuple(line for part in parts for line in part.source),
                 tuple(line for part in parts for line in part.target),
                 tuple(note for part in parts for note in part.notes))  # fmt: skip
