"""Recording: one file of sound and what is said in it, before it is opened."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ..text.account import TextAccount


@dataclass(frozen=True)
class Recording:
    """One file."""

    path: Path
    text: str
    """What is said: words with one space between two."""

    speaker: str = ""
    """Empty where nobody knows."""

    take: int | None = None
    """Which repetition of the same words by the same speaker, where the set numbers them."""

    split: str | None = None
    """Where the set itself says it."""


@dataclass(frozen=True)
class Recordings:
    """All of a folder, in the order of their names."""

    rows: tuple[Recording, ...]
    account: TextAccount = field(default_factory=lambda: TextAccount("recordings", "recordings"))

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def speakers(self) -> list[str]:
        """Every one that is named, in order."""
        return sorted({row.speaker for row in self.rows if row.speaker})


def settled(rows: list[Recording], name: str, *, noted: dict[str, int] | None = None,
            dropped: dict[str, int] | None = None) -> Recordings:
    """With the account of a reading that kept these."""
    gone = dropped or {}
    account = TextAccount(name, "recordings", read=len(rows) + sum(gone.values()), kept=len(rows), dropped=gone,
                          noted=noted or {})
    return Recordings(tuple(rows), account)
