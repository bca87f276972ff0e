"""The data module: which loader feeds which stage.

A batch is one gather in this process, quicker than handing it over from another one: there are no worker processes.
"""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
from torch.utils.data import DataLoader

from gatesweep.tasks.forecasting.prepare import Prepared
from gatesweep.tasks.forecasting.windows import WindowBatch, Windows, as_it_is
from gatesweep.tasks.order import EpochShuffle, InOrder

EVAL_BATCH = 256


def in_order(windows: Windows, batch_size: int, *, rank: int = 0, replicas: int = 1) -> DataLoader[WindowBatch]:
    """Every window once, in the order of time. The metrics do not depend on `batch_size`."""
    sampler = InOrder(len(windows), rank=rank, replicas=replicas)
    return DataLoader(windows, batch_size=batch_size, sampler=sampler, collate_fn=as_it_is)


class WindowsModule(pl.LightningDataModule):
    """Loaders of one prepared series, shared out by rank where there are several."""

    def __init__(self, prepared: Prepared, *, batch_size: int, seed: int) -> None:
        super().__init__()
        self.prepared, self.batch_size, self.seed = prepared, batch_size, seed

    def train_dataloader(self) -> DataLoader[WindowBatch]:
        """Shuffled, as a function of (seed, epoch)."""
        windows = self.prepared.windows("train")
        sampler = EpochShuffle(len(windows), self.seed, **self._share())
        return DataLoader(windows, batch_size=self.batch_size, sampler=sampler, collate_fn=as_it_is)

    def val_dataloader(self) -> DataLoader[WindowBatch]:
        return self._in_order("val")

    def test_dataloader(self) -> DataLoader[WindowBatch]:
        return self._in_order("test")

    def _in_order(self, split: str) -> DataLoader[WindowBatch]:
        return in_order(self.prepared.windows(split), max(self.batch_size, EVAL_BATCH), **self._share())

    def _share(self) -> dict[str, Any]:
        return {"rank": self.trainer.global_rank, "replicas": self.trainer.world_size} if self.trainer else {}
