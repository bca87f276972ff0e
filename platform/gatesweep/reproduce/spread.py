"""What several seeds of one configuration scored: a value for each, their mean, and how far they lie apart."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Seeded:
    """One seed: its run and what that scored, or why it failed."""

    seed: int
    run_id: str
    metrics: Mapping[str, float]
    trained: bool
    """Now; else it was there."""

    failed: str = ""


@dataclass(frozen=True)
class Seeds:
    """What `gatesweep seeds` found."""

    group: str
    """The digest that `gatesweep.seed_group` holds."""

    all: tuple[Seeded, ...]
    notes: tuple[str, ...] = ()

    @property
    def completed(self) -> tuple[Seeded, ...]:
        """Those with scores."""
        return tuple(each for each in self.all if not each.failed)

    @property
    def metrics(self) -> dict[str, list[float]]:
        """Every metric of test and val that all of them have, a value for each, by seed; test first."""
        done = self.completed
        shared = set.intersection(*(set(each.metrics) for each in done)) if done else set()
        names = sorted(name for name in shared if name.partition("/")[0] in ("test", "val"))
        names.sort(key=lambda name: not name.startswith("test/"))
        return {name: [each.metrics[name] for each in done] for name in names}

    def table(self) -> pd.DataFrame:
        """One row for each seed: seed, run_id, the metrics."""
        import pandas as pd

        values = self.metrics
        rows = [{"seed": each.seed, "run_id": each.run_id, **{name: values[name][place] for name in values}}
                for place, each in enumerate(self.completed)]  # fmt: skip
        return pd.DataFrame(rows, columns=["seed", "run_id", *values])

    def summary(self) -> pd.DataFrame:
        """One row for each metric: mean, sd (n - 1), min, max."""
        import pandas as pd

        rows = {name: _told(values) for name, values in self.metrics.items()}
        return pd.DataFrame.from_dict(rows, orient="index", columns=["mean", "sd", "min", "max"])

    def as_dict(self) -> dict[str, Any]:
        """What `--json` prints."""
        return {
            "group": self.group,
            "run_ids": [each.run_id for each in self.completed],
            "seeds": [each.seed for each in self.completed],
            "trained": [each.seed for each in self.all if each.trained],
            "failed": [{"seed": each.seed, "run_id": each.run_id, "reason": each.failed}
                       for each in self.all if each.failed],
            "metrics": {name: {**_told(values), "values": values} for name, values in self.metrics.items()},
            "notes": list(self.notes),
        }  # fmt: skip


def _told(values: Sequence[float]) -> dict[str, float | None]:
    return {"mean": statistics.fmean(values), "sd": statistics.stdev(values) if len(values) > 1 else None,
            "min": min(values), "max": max(values)}  # fmt: skip
