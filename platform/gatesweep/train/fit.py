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
import torch
from pytorch_lightning.callbacks import EarlyStopping as LightningEarlyStopping

from gatesweep.config.digest import seed_of
from gatesweep.errors import TrialFailed
from gatesweep.train import seeds
from gatesweep.train.averaging import Averaging
from gatesweep.train.callbacks import Accompany, EpochEnd, EpochReport, Generators, InStep, NanGuard
from gatesweep.train.changed import NewValues
from gatesweep.train.checkpoint import state_file
from gatesweep.train.config import OptimizerConfig, ScheduleConfig, TrainerConfig
from gatesweep.train.groups import Unfreezing
from gatesweep.train.heap import keep_freed_memory
from gatesweep.train.optim import factory
from gatesweep.train.shares import Shared
from gatesweep.train.strategy import DataParallel
from gatesweep.train.team import Team

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
    team: Team | None = None,
) -> FitResult:
    """Train to the end; in a team as worker 0, while the others `accompany`.

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
        Parted: another worker is gone.
    """
    start, best = time.perf_counter(), Best(recipe.trainer.monitor, recipe.trainer.mode)
    last: list[EpochReport] = list(seen[-1:])
    for report in seen:
        best.offer(report)

    def heard(report: EpochReport) -> None:
        best.offer(report)
        last[:] = [report]
        on_epoch(report)

    end = EpochEnd(folder, recipe.trainer.monitor, heard)
    _train(task, recipe, end, callbacks, team, was=was, checkpoint=str(state_file(resume)) if resume else None)
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


def accompany(task: Any, recipe: Recipe, team: Team) -> None:
    """What every worker of a team but the first does: the same training, of which worker 0 tells.

    Its generators have a stream of its own, so that dropout falls on its rows as it would on other rows of one worker.

    Raises:
        Parted: another worker is gone.
        Dismissed: worker 0 has left.
    """
    trainer = recipe.trainer
    seeds.set_up(seed_of(recipe.seed, "worker", team.rank), threads=trainer.threads,
                 deterministic=trainer.deterministic)  # fmt: skip
    _train(task, recipe, Accompany(), (), team, was=team.before.was,
           checkpoint="of worker 0" if team.before.resumes else None)  # fmt: skip


def device_of(config: TrainerConfig) -> str:
    """Where a worker of a team trains."""
    return "cuda:0" if config.accelerator != "cpu" and torch.cuda.is_available() else "cpu"


def _train(task: Any, recipe: Recipe, end: pl.Callback, callbacks: tuple[pl.Callback, ...], team: Team | None,
           was: OptimizerConfig | None, checkpoint: str | None) -> None:  # fmt: skip
    module, data, more = task.module, task.data_module, {}
    module.optimizer_factory = factory(recipe.optimizer, recipe.schedule, recipe.trainer)
    if was is not None and was != recipe.optimizer:
        callbacks = (NewValues(was, recipe.optimizer), *callbacks)
    if team is not None:
        strategy = more["strategy"] = DataParallel(team, team.device)
        module.mean_over_workers = strategy.mean_loss
        data = Shared(data, team, strategy.shares)
    if recipe.trainer.precision == "64":
        module.double()  # Lightning does so too, but after a checkpoint's weights were put into single precision
    try:
        with quiet():
            trainer = _trainer(recipe, end, callbacks, team, **more)
            trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True)
    finally:
        module.mean_over_workers = None


def prove(task: Any, recipe: Recipe) -> dict[str, float]:
    """Train one real batch, validate one, and return what was reported: names and values, before anything is queued."""
    task.module.optimizer_factory = factory(recipe.optimizer, recipe.schedule, recipe.trainer)
    with quiet():
        trainer = _trainer(recipe, None, (), fast_dev_run=1)
        trainer.fit(task.module, datamodule=task.data_module)
    return {name: float(value) for name, value in trainer.callback_metrics.items()}


def _trainer(recipe: Recipe, end: pl.Callback | None, callbacks: tuple[pl.Callback, ...], team: Team | None = None,
             **more: Any) -> pl.Trainer:  # fmt: skip
    config, stopping = recipe.trainer, recipe.trainer.early_stopping
    ours: list[pl.Callback] = [*callbacks, NanGuard(), Generators(team)]
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
    if team is not None:
        ours.append(InStep(team))
    if end:
        ours.append(end)
    return pl.Trainer(
        max_epochs=config.max_epochs,
        accelerator=config.accelerator if team is None else team.device.partition(":")[0],
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
