"""The account of a reading: what was read, what a rule dropped, what is odd and stayed; for the log and the record."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class TextAccount:
    """Numbers about one part of a text set."""

    name: str
    unit: str
    """What is counted: `texts`, `lines`, `pairs`."""

    read: int = 0
    kept: int = 0

    dropped: dict[str, int] = field(default_factory=dict)
    """Rule -> how many it dropped."""

    noted: dict[str, int] = field(default_factory=dict)
    """What is odd and stayed -> how many."""

    def lines(self) -> list[str]:
        """For the log: one line for what was read, one for each thing dropped or odd."""
        found = [f"{self.name}: {self.read:,} {self.unit} read, {self.kept:,} kept"]
        found += [f"  dropped {count:,}: {rule}" for rule, count in self.dropped.items() if count]
        return found + [f"  {count:,} {what}" for what, count in self.noted.items() if count]

    def as_dict(self) -> dict[str, Any]:
        """For `--json` and the run's record."""
        return asdict(self)
