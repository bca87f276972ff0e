"""What happens at the borders of batches and epochs: the NaN guard, the generators' states, the report of an epoch."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from gatesweep.errors import NotFinite, TrialFailed
from gatesweep.train import checkpoint, seeds

if TYPE_CHECKING:
    from gatesweep.train.team import Team

OTHERS = "other_workers"
"""The key of their generators' states in a checkpoint."""


@dataclass(frozen=True)
class EpochReport:
    """One finished epoch, whose checkpoint is already on disk."""

    epoch: int
    """Counted from 1."""
    metrics: dict[str, float]
    checkpoint: Path
    final: bool
    """No epoch follows: the last one, or early stopping."""
    weights: str = ""
    """The digest of the weights after it, see `checkpoint.weights_digest`."""


class NanGuard(Callback):
    """Ends the training at the first loss that is no number, and says where."""

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        loss = outputs["loss"] if isinstance(outputs, dict) else outputs
        if isinstance(loss, torch.Tensor) and not torch.isfinite(loss).all():
            raise NotFinite(
                f"the training loss is {loss.item()} in epoch {trainer.current_epoch + 1}, batch {batch_idx + 1}",
                hint="a lower optimizer.lr, or optimizer.clip_norm, usually keeps it finite",
            )


class BatchEnd(Callback):
    """Calls `check` after every batch of training and validation; what it raises ends the training there."""

    def __init__(self, check: Callable[[], None]) -> None:
        self.check = check

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.check()

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:  # fmt: skip
        self.check()


class StopAfter(Callback):
    """Ends the training after so many epochs, as if it were over; its schedule stays that of all of them."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        trainer.should_stop = trainer.should_stop or trainer.current_epoch + 1 >= self.epochs


class Generators(Callback):
    """Keeps the random generators' states in the checkpoint, and puts them back the moment it is loaded.

    Making a data iterator draws a number, and Lightning makes the first one as early as `configure_optimizers`, when
    that asks for the number of steps: any later hook would give every following draw another place.

    Of a team, worker 0's are saved as a single worker's, the others' beside them. A worker that none had before keeps
    the stream that it began with.
    """

    def __init__(self, team: Team | None = None) -> None:
        self.team = team

    def state_dict(self) -> dict[str, Any]:
        if self.team is None:
            return seeds.state()
        first, *others = self.team.gather(seeds.state())
        return {**first, OTHERS: others}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        rank = self.team.rank if self.team else 0
        saved = [state_dict, *state_dict.get(OTHERS, ())]
        if rank < len(saved):
            seeds.restore(saved[rank])


class InStep(Callback):
    """Keeps the workers of a team together: where worker 0 stops, all stop; what rate it has, all have.

    All compute the same; but hosts with other processors may differ in a last bit, on which a decision can hang.
    """

    def __init__(self, team: Team) -> None:
        self.team = team

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        groups = [group for optimizer in trainer.optimizers for group in optimizer.param_groups]
        for group, rate in zip(groups, self.team.from_first([group["lr"] for group in groups]), strict=True):
            group["lr"] = rate

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        trainer.should_stop = self.team.from_first(trainer.should_stop)


class Accompany(Callback):
    """In the place of `EpochEnd` on all workers but the first: they take part in the checkpoint that it writes."""

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        trainer.save_checkpoint("by worker 0")


class EpochEnd(Callback):
    """Checkpoint first, then the report: whoever hears of an epoch can resume from it. Goes last in the list."""

    def __init__(self, folder: Path, monitor: str, on_epoch: Callable[[EpochReport], None]) -> None:
        self.folder, self.monitor, self.on_epoch = folder, monitor, on_epoch
        self._started = time.perf_counter()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._started = time.perf_counter()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        epoch = trainer.current_epoch + 1
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        metrics["time/epoch_s"] = time.perf_counter() - self._started
        if self.monitor not in metrics:
            raise TrialFailed(
                f"the task never reported '{self.monitor}'", hint=f"it reports: {', '.join(sorted(metrics))}"
            )
        if not math.isfinite(metrics[self.monitor]):
            raise NotFinite(
                f"{self.monitor} is {metrics[self.monitor]} in epoch {epoch}", hint="a lower optimizer.lr usually helps"
            )
        final = trainer.should_stop or epoch >= (trainer.max_epochs or 0)
        saved = checkpoint.save(trainer, self.folder, epoch)
        self.on_epoch(EpochReport(epoch, metrics, saved, final, checkpoint.commit_of(saved)["weights"]))
