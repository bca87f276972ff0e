"""The fit loop: a task's module and data, Lightning's Trainer, and one report per epoch.

A resumed training continues at an epoch's border and gives the same bits as one that was never interrupted:
the checkpoint holds weights, optimizer, schedule, loops and generators, and the order of the data is a function of
(seed, epoch) alone.
"""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import EarlyStopping as LightningEarlyStopping

from gatesweep.errors import TrialFailed
from gatesweep.train import seeds
from gatesweep.train.averaging import Averaging
from gatesweep.train.callbacks import EpochEnd, EpochReport, Generators, NanGuard
from gatesweep.train.changed import NewValues
from gatesweep.train.checkpoint import state_file
from gatesweep.train.config import OptimizerConfig, ScheduleConfig, TrainerConfig
from gatesweep.train.groups import Unfreezing
from gatesweep.train.heap import keep_freed_memory
from gatesweep.train.optim import factory

PRECISION: dict[str, Any] = {"32": "32-true", "64": "64-true", "bf16": "bf16-mixed", "16": "16-mixed"}


@dataclass(frozen=True)
class Recipe:
    """How to train, whatever the task."""

    optimizer: OptimizerConfig
    schedule: ScheduleConfig
    trainer: TrainerConfig
    seed: int


@dataclass(frozen=True)
class FitResult:
    """What a training left behind."""

    epochs: int
    best_epoch: int
    best_metrics: dict[str, float]
    best_checkpoint: Path
    last_checkpoint: Path
    wall_s: float


class Best:
    """Follows the monitored metric over the epochs."""

    def __init__(self, monitor: str, mode: str) -> None:
        self.monitor, self.sign = monitor, 1.0 if mode == "min" else -1.0
        self.report: EpochReport | None = None

    def offer(self, report: EpochReport) -> bool:
        """Whether `report` is the best so far; an equal later one is not."""
        better = (
            self.report is None
            or self.sign * report.metrics[self.monitor] < self.sign * self.report.metrics[self.monitor]
        )
        if better:
            self.report = report
        return better


def set_up(recipe: Recipe) -> None:
    """Seeds, threads and memory, to be called before the task builds its model: weights follow from the seed."""
    keep_freed_memory()
    seeds.set_up(recipe.seed, threads=recipe.trainer.threads, deterministic=recipe.trainer.deterministic)


def fit(
    task: Any,
    recipe: Recipe,
    *,
    folder: Path,
    on_epoch: Callable[[EpochReport], None],
    resume: Path | None = None,
    was: OptimizerConfig | None = None,
    callbacks: tuple[pl.Callback, ...] = (),
    seen: tuple[EpochReport, ...] = (),
) -> FitResult:
    """Train to the end.

    Args:
        task: built after `set_up`; gives `module` and `data_module`.
        folder: where checkpoints go.
        on_epoch: hears of every epoch after its checkpoint is on disk.
        resume: a committed checkpoint to go on from.
        was: what `resume` was trained with, where that is not what it goes on with.
        seen: epochs of earlier attempts, so that the best one counts.

    Raises:
        TrialFailed: the loss is no number, or the monitored metric never came.
        NotFound: `resume` is no committed checkpoint.
    """
    start, best = time.perf_counter(), Best(recipe.trainer.monitor, recipe.trainer.mode)
    last: list[EpochReport] = list(seen[-1:])
    for report in seen:
        best.offer(report)

    def heard(report: EpochReport) -> None:
        best.offer(report)
        last[:] = [report]
        on_epoch(report)

    task.module.optimizer_factory = factory(recipe.optimizer, recipe.schedule, recipe.trainer)
    if was is not None and was != recipe.optimizer:
        callbacks = (NewValues(was, recipe.optimizer), *callbacks)
    with quiet():
        trainer = _trainer(recipe, EpochEnd(folder, recipe.trainer.monitor, heard), callbacks)
        trainer.fit(
            task.module,
            datamodule=task.data_module,
            ckpt_path=str(state_file(resume)) if resume else None,
            weights_only=True,
        )
    if not last or best.report is None:
        raise TrialFailed("not one epoch was trained", hint="trainer.max_epochs may lie below the checkpoint's epoch")
    return FitResult(
        last[0].epoch,
        best.report.epoch,
        best.report.metrics,
        best.report.checkpoint,
        last[0].checkpoint,
        time.perf_counter() - start,
    )


def prove(task: Any, recipe: Recipe) -> dict[str, float]:
    """Train one real batch, validate one, and return what was reported: names and values, before anything is queued."""
    task.module.optimizer_factory = factory(recipe.optimizer, recipe.schedule, recipe.trainer)
    with quiet():
        trainer = _trainer(recipe, None, (), fast_dev_run=1)
        trainer.fit(task.module, datamodule=task.data_module)
    return {name: float(value) for name, value in trainer.callback_metrics.items()}


def _trainer(recipe: Recipe, epoch_end: EpochEnd | None, callbacks: tuple[pl.Callback, ...], **more: Any) -> pl.Trainer:
    config, stopping = recipe.trainer, recipe.trainer.early_stopping
    ours: list[pl.Callback] = [*callbacks, NanGuard(), Generators()]
    if config.unfreeze_epochs:
        ours.append(Unfreezing(config.unfreeze_epochs))
    if recipe.optimizer.average != "never":
        ours.append(Averaging(recipe.optimizer, config.monitor, config.mode))
    if stopping:
        ours.append(
            LightningEarlyStopping(
                config.monitor,
                min_delta=stopping.min_delta,
                patience=stopping.patience,
                mode=config.mode,
                check_finite=False,
                check_on_train_epoch_end=False,  # after validation, so that the epoch's report knows it is the last
            )
        )
    if epoch_end:
        ours.append(epoch_end)
    return pl.Trainer(
        max_epochs=config.max_epochs,
        accelerator=config.accelerator,
        devices=config.devices,
        precision=PRECISION[config.precision],
        accumulate_grad_batches=config.accumulate,
        gradient_clip_val=recipe.optimizer.clip_norm,
        deterministic=config.deterministic,
        callbacks=ours,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        **more,
    )


class quiet(warnings.catch_warnings):
    """Lightning's advice on loggers, workers and hardware, silenced: what matters is said by us."""

    def __enter__(self) -> Any:
        entered = super().__enter__()
        warnings.filterwarnings("ignore", module="pytorch_lightning")
        warnings.filterwarnings("ignore", message=".*lr_scheduler.step.*")
        warnings.filterwarnings("ignore", message=".*pin_memory.*")
        for name in ("pytorch_lightning", "lightning.pytorch", "lightning_fabric"):
            logging.getLogger(name).setLevel(logging.ERROR)
        return entered
