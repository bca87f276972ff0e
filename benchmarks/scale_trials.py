"""What a worker does in `scale.py`: nothing but report, on both sides the same words in the same rhythm."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gatesweep.sweep.worker import Surroundings, _Attempt

METRICS = ("train/loss", "val/loss", "val/mae", "time/epoch_s")


def epochs(number: int, count: int, pause_s: float) -> Iterator[tuple[int, dict[str, float]]]:
    """The reports of a trial: from 1 to `count`, each after a pause, with values that nobody trained."""
    for epoch in range(1, count + 1):
        time.sleep(pause_s)
        value = 1.0 + math.cos(number) / epoch
        yield epoch, dict.fromkeys(METRICS, value)


class Trivial(_Attempt):
    """An attempt whose training is the reports alone; every road to the driver and its log is the real one."""

    def _train(self) -> None:
        from gatesweep.runs.retention import Retention
        from gatesweep.train.callbacks import EpochReport
        from gatesweep.train.config import KeepConfig, TrainerConfig

        count, pause_s = self.around.environment["epochs"], self.around.environment["pause_s"]
        self._retention = Retention(TrainerConfig(monitor="val/mae"), KeepConfig())
        for epoch, metrics in epochs(int(self.config["trial"][1:]), int(count), float(pause_s)):
            self._hand_over(EpochReport(epoch, metrics, Path(self.shelf.folder) / f"e{epoch:04}", epoch == int(count)))


def ours(config: dict[str, Any], around: Surroundings) -> None:
    """In the place of `gatesweep.sweep.worker.train_trial`."""
    from ray import tune

    Trivial(config, around, tune.report).run()


def plain(config: dict[str, Any]) -> None:
    """The same for Tune alone."""
    from ray import tune

    for _, metrics in epochs(config["number"], config["epochs"], config["pause_s"]):
        tune.report(metrics)
