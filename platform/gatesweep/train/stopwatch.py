"""A few real steps of a training, timed: what one costs, how many an epoch has, what it needs of memory.

    batch     from the end of one batch to the end of the next, its data included; the first ones, which set things up,
              do not count
    epoch     batches · batch + validation batches · validation batch: what is written at its end is not in it

Time in which the process could have worked, and another one had its core, is taken off (Linux tells of it): what is
told is what a step takes with a core of its own, also on a busy machine.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from gatesweep.train.fit import Recipe, _trainer, quiet
from gatesweep.train.optim import factory

WARM, STEPS, VALIDATED = 2, 6, 3


@dataclass(frozen=True)
class Timed:
    """What was measured of one configuration."""

    step_s: float
    """An optimizer step, of `accumulate` batches."""
    epoch_s: float | None
    """None where the data module does not know how many batches an epoch has."""
    steps_per_epoch: int | None
    busy: float
    """Seconds of the process on processors in each second of a step: 1 is one core kept busy."""
    memory_bytes: int
    """The most that the process held."""
    shared_bytes: int
    """Of it what all processes of a machine share: the code of libraries."""
    gpu_bytes: int | None
    """The most that torch held on the GPU; None without one."""


class _Stopwatch(Callback):
    def __init__(self) -> None:
        self.ends: list[tuple[float, float]] = []
        """Of each batch: `own_s`, and seconds of the process on processors."""
        self.validated: list[float] = []
        self.batches: int | None = None
        self.val_batches: int | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.batches = _length(trainer.train_dataloader)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.val_batches = _length(trainer.val_dataloaders)
        self.validated.append(own_s())

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *what: Any) -> None:
        _settle(pl_module)
        self.ends.append((own_s(), time.process_time()))

    def on_validation_batch_end(self, trainer: Trainer, pl_module: LightningModule, *what: Any) -> None:
        _settle(pl_module)
        self.validated.append(own_s())


def timed(task: Any, recipe: Recipe) -> Timed:
    """Train and validate a few real batches of a task that was built for it.

    Raises:
        TrialFailed: the loss is no number.
    """
    config = recipe.trainer.model_copy(update={"max_epochs": 1, "early_stopping": None})
    watch, accumulate = _Stopwatch(), config.accumulate
    task.module.optimizer_factory = factory(recipe.optimizer, recipe.schedule, recipe.trainer)
    with quiet():
        trainer = _trainer(Recipe(recipe.optimizer, recipe.schedule, config, recipe.seed), None, (watch,),
                           limit_train_batches=(WARM + STEPS) * accumulate, limit_val_batches=VALIDATED)  # fmt: skip
        trainer.fit(task.module, datamodule=task.data_module)
    return _told(watch, accumulate, trainer)


def _told(watch: _Stopwatch, accumulate: int, trainer: pl.Trainer) -> Timed:
    ends = watch.ends[min(WARM * accumulate - 1, max(0, len(watch.ends) - 2)) :]
    batches = max(1, len(ends) - 1)
    spent_s, cpu_s = (max(1e-9, ends[-1][i] - ends[0][i]) for i in (0, 1))
    batch_s = spent_s / batches
    # the first validation batch sets things up too; an epoch of one has nothing else
    val_s = mean(b - a for a, b in zip(watch.validated, watch.validated[1:], strict=False)) if watch.validated else 0.0
    epoch_s = None
    if watch.batches is not None and (watch.val_batches is not None or not watch.validated):
        epoch_s = watch.batches * batch_s + (watch.val_batches or 0) * val_s
    peak, shared = memory()
    on_gpu = trainer.strategy.root_device.type == "cuda"
    return Timed(batch_s * accumulate, epoch_s, watch.batches and max(1, -(-watch.batches // accumulate)),
                 cpu_s / spent_s, peak, shared,
                 torch.cuda.max_memory_reserved() if on_gpu else None)  # fmt: skip


def own_s() -> float:
    """A clock that stands while this thread waits for a core that others have."""
    now_s, waits = time.perf_counter(), Path("/proc/thread-self/schedstat")
    return now_s - int(waits.read_text().split()[1]) / 1e9 if waits.is_file() else now_s


def memory() -> tuple[int, int]:
    """The most that this process held, and what of that is files' and can be shared; in bytes.

    Not `ru_maxrss`, which a process inherits from the one that started it.
    """
    status = Path("/proc/self/status")
    if not status.is_file():  # not Linux
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, 0
    found = dict(line.split(":", 1) for line in status.read_text().splitlines())
    peak, shared = (int(found[key].split()[0]) << 10 for key in ("VmHWM", "RssFile"))
    return peak, shared


def _length(loaders: Any) -> int | None:
    """Batches of an epoch; None where the loader cannot tell."""
    try:
        return len(loaders)
    except TypeError:
        return None


def _settle(module: LightningModule) -> None:
    """A GPU works on while Python goes ahead."""
    if module.device.type == "cuda":
        torch.cuda.synchronize(module.device)
