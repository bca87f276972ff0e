"""The account of a cleaning: what each rule dropped, filled or left, for the log and the run's record."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass
class CleaningReport:
    """What cleaning did, in numbers."""

    name: str
    rows_read: int = 0
    rows: int = 0
    """Rows of the finished series."""

    dropped: dict[str, int] = field(default_factory=dict)
    """Rule -> rows that it dropped."""

    impossible: dict[str, int] = field(default_factory=dict)
    """Column -> values outside the possible range, made missing."""

    missing: dict[str, int] = field(default_factory=dict)
    """Column -> values that rows of the file lack."""

    filled: dict[str, int] = field(default_factory=dict)
    """Column -> values that were filled."""

    fill: str = "none"
    """The rule that filled them."""

    missing_steps: int = 0
    """Steps without a row between the first row and the last, before filling."""

    gaps: list[dict[str, Any]] = field(default_factory=list)
    """Each gap that was kept: after, before (stamps) and steps (None where rows are the steps)."""

    segments: int = 0

    def lines(self) -> list[str]:
        """For the log: one line for each thing that was done."""
        found = [f"{self.name}: {self.rows_read:,} rows read, {self.rows:,} in the series, {self.segments} segment(s)"]
        found += [f"  dropped {count:,} rows: {rule}" for rule, count in self.dropped.items() if count]
        found += [f"  {count:,} missing value(s) of {name}" for name, count in self.missing.items() if count]
        found += [f"  {count:,} impossible value(s) of {name}, made missing" 
                  for name, count in self.impossible.items() if count]
        for count in sorted(set(self.filled.values()), reverse=True):
            names = ", ".join(name for name, each in self.filled.items() if each == count)
            found.append(f"  filled {count:,} value(s) of {names}: {self.fill}")
        if self.gaps:
            widest = max(self.gaps, key=_length)
            found.append(f"  {len(self.gaps)} gap(s) kept, which no window crosses; the widest from {widest['after']}"
                         f" to {widest['before']}")
        return found

    def as_dict(self) -> dict[str, Any]:
        """For `--json` and the run's record."""
        return {key: getattr(self, key) for key in self.__dataclass_fields__}


def _length(gap: dict[str, Any]) -> float:
    return (datetime.fromisoformat(gap["before"]) - datetime.fromisoformat(gap["after"])).total_seconds()
