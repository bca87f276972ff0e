"""A training that goes on from a checkpoint with other values than those that made it.

Weights, moments, generators and the place in the schedule are the checkpoint's. What it holds of the optimizer's
values is replaced, once it is loaded:

    lr' = lr · new / old                     of every group, and of what the schedule of the rate starts from
    weight_decay, momentum, betas, alpha     the new ones, where the rule has them
    momentum's buffers                       zero where there was no momentum, gone where there is none

Dropout, clipping and batch size need nothing: module, Trainer and loaders are made anew from the new values.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch.optim import Optimizer

from gatesweep.train.config import OptimizerConfig

SET = ("weight_decay", "momentum", "betas", "alpha")
SCALED_OF_GROUP = ("lr", "initial_lr", "max_lr", "min_lr")
SCALED_OF_SCHEDULE = ("base_lrs", "_last_lr", "eta_min", "min_lrs")


class NewValues(Callback):
    """Puts the new values into what was loaded, before the first batch."""

    def __init__(self, was: OptimizerConfig, now: OptimizerConfig) -> None:
        self.was, self.now = was, now

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        for optimizer in trainer.optimizers:
            for group in optimizer.param_groups:
                self._put_into(group)
                if "momentum" in group:
                    _fit_buffers(optimizer, group)
        for schedule in _each(config.scheduler for config in trainer.lr_scheduler_configs):
            for name in SCALED_OF_SCHEDULE:
                if hasattr(schedule, name):
                    setattr(schedule, name, self._scaled(getattr(schedule, name)))

    def _put_into(self, group: dict[str, Any]) -> None:
        for name in SCALED_OF_GROUP:
            if name in group:
                group[name] = self._scaled(group[name])
        for name in SET:
            if name in group and getattr(self.was, name) != getattr(self.now, name):
                group[name] = getattr(self.now, name)

    def _scaled(self, value: Any) -> Any:
        """In proportion; what was the old rate itself becomes the new one, to the last bit."""
        if isinstance(value, list):
            return [self._scaled(each) for each in value]
        return self.now.lr if value == self.was.lr else value * (self.now.lr / self.was.lr)


def _fit_buffers(optimizer: Optimizer, group: dict[str, Any]) -> None:
    """RMSprop expects a buffer wherever there is momentum, and makes one at its first step alone."""
    for parameter in group["params"]:
        state = optimizer.state.get(parameter)
        if state is not None and group["momentum"] == 0:
            state.pop("momentum_buffer", None)
        elif state is not None and "square_avg" in state:
            state.setdefault("momentum_buffer", torch.zeros_like(parameter))


def _each(schedules: Iterator[Any]) -> Iterator[Any]:
    """A schedule and those that it is put together from."""
    for schedule in schedules:
        yield schedule
        yield from _each(iter(getattr(schedule, "_schedulers", ())))
