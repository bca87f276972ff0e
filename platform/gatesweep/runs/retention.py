"""Which checkpoints stay: the best and the last while a run is going on, and what `keep` says once it is over."""

from __future__ import annotations

import json
from pathlib import Path

from gatesweep.train.callbacks import EpochReport
from gatesweep.train.checkpoint import commit_of
from gatesweep.train.config import KeepConfig, TrainerConfig
from gatesweep.train.fit import Best


class Retention:
    """Told of every epoch, says which earlier checkpoints nothing needs any more."""

    def __init__(self, trainer: TrainerConfig, keep: KeepConfig) -> None:
        self.keep, self.best = keep, Best(trainer.monitor, trainer.mode)
        self.there: list[Path] = []

    def offer(self, report: EpochReport) -> list[Path]:
        """Checkpoints that may go now that `report`'s is on record."""
        self.best.offer(report)
        self.there.append(report.checkpoint)
        if self.keep.checkpoints == "all" or self.best.report is None:
            return []
        needed = {report.checkpoint, self.best.report.checkpoint}
        stale = [path for path in self.there if path not in needed]
        self.there = [path for path in self.there if path in needed]
        return stale


def kept_note(best: Path) -> str:
    """What is written down of a run's best kept checkpoint: `lookup.KEPT`."""
    return json.dumps({"best": best.name, "sha256": commit_of(best)["sha256"]})


def kept(keep: KeepConfig, best: Path, last: Path, there: list[Path]) -> list[Path]:
    """What stays of a finished run's checkpoints."""
    return {"best": [best], "last": [last], "all": there}[keep.checkpoints]
