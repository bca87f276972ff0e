"""A task of a user's own, for tests: a line fitted by gradient descent, an epoch in milliseconds.

`data.trouble` makes it misbehave the way real trainings do; `data.pause_s` makes an epoch last, and `data.hold` as long
as a test wants.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytorch_lightning as pl
import torch
from matplotlib.figure import Figure
from torch.utils.data import DataLoader, TensorDataset

from gatesweep.config.section import Section
from gatesweep.tasks.base import Baseline, TaskModule


class ToyData(Section):
    """How many examples, and what goes wrong."""

    examples: int = 32
    """Rows."""

    pause_s: float = 0.0
    """Seconds that every epoch waits."""

    hold: str = ""
    """A file: while it is there, no attempt gets beyond its trial's first epoch."""

    trouble: str = "none"
    """none, nan (above lr .5), raise (in epoch 2 of every attempt); die (the process), hang or memory (it has none):
    once each, in epoch 2."""

    marks: str = ""
    """A folder that remembers what has happened once."""


class ToyModule(TaskModule):
    """y = w x + b, squared error; a dropout so that generators matter."""

    def __init__(self, data: ToyData, hidden: int, dropout: float) -> None:
        super().__init__()
        self.config = data
        self.net = torch.nn.Sequential(
            torch.nn.Linear(4, hidden), torch.nn.Tanh(), torch.nn.Dropout(dropout), torch.nn.Linear(hidden, 1)
        )

    def training_step(self, batch: Any, index: int) -> torch.Tensor:
        if self.current_epoch == 1 and index == 0:
            self._misbehave()
        loss = torch.nn.functional.mse_loss(self.net(batch[0]), batch[1])
        if self.config.trouble == "nan" and self.optimizers().param_groups[0]["lr"] > 0.5:
            loss = loss * float("nan")
        self.log_loss(loss, len(batch[0]))
        return loss

    def _misbehave(self) -> None:
        if self.config.trouble == "raise":
            raise ValueError("the user's own mistake")
        if self.config.trouble not in ("die", "hang", "memory"):
            return
        kind = f"{self.config.trouble}-{os.getppid()}"
        if list(Path(self.config.marks).glob(f"{kind}-*")):
            return
        (Path(self.config.marks) / f"{kind}-{os.getpid()}").touch()
        if self.config.trouble == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        elif self.config.trouble == "memory":
            torch.empty(1 << 60)
        time.sleep(3600)

    def on_train_epoch_start(self) -> None:
        time.sleep(self.config.pause_s)
        while self.current_epoch > 0 and self.config.hold and os.path.exists(self.config.hold):
            time.sleep(0.1)

    def validation_step(self, batch: Any, index: int) -> None:
        error = self.net(batch[0]) - batch[1]
        self.log("val/loss", (error**2).mean(), batch_size=len(batch[0]))
        self.log("val/mae", error.abs().mean(), batch_size=len(batch[0]))


class ToyTask:
    """Follows gatesweep.tasks.base.Task."""

    data_section = ToyData
    metrics = ("loss", "mae")

    def __init__(self, data: ToyData, model: Any, *, batch_size: int, seed: int, say: Any) -> None:
        self.datasets: list[Any] = []
        self.module = ToyModule(data, model.hidden_size, model.dropout)
        made = torch.Generator().manual_seed(0)
        x = torch.randn(2 * data.examples, 4, generator=made)
        y = x @ torch.tensor([[1.0], [-2.0], [0.5], [3.0]]) + 0.1 * torch.randn(2 * data.examples, 1, generator=made)
        self.parts = {
            "train": TensorDataset(x[: data.examples], y[: data.examples]),
            "val": TensorDataset(x[data.examples :], y[data.examples :]),
        }
        self.parts["test"] = self.parts["all"] = self.parts["val"]
        self.batch_size = batch_size
        self.data_module = pl.LightningDataModule.from_datasets(
            self.parts["train"], self.parts["val"], batch_size=batch_size
        )

    def baseline(self, split: str, path: Path | None = None) -> Baseline:
        y = self.parts[split].tensors[1]
        return Baseline("zero", {"mae": float(y.abs().mean())}, {"zero": {"mae": float(y.abs().mean())}})

    def figures(self, split: str, path: Path | None = None) -> dict[str, Figure]:
        figure = Figure()
        figure.subplots().plot([0, 1])
        return {"forecast": figure}

    def predictions(self, split: str, path: Path | None = None) -> pd.DataFrame:
        return pd.DataFrame({"truth": self.parts[split].tensors[1][:, 0].numpy()})

    def loader(self, split: str, path: Path | None = None) -> DataLoader[Any]:
        return DataLoader(self.parts[split], batch_size=self.batch_size)

    def describe(self) -> list[str]:
        return [f"toy: {len(self.parts['train'])} examples"]
