"""The data module: which loader feeds which stage.

A batch is one gather in this process, quicker than handing it over from another one: there are no worker processes.
"""

from __future__ import annotations

import pytorch_lightning as pl
from torch.utils.data import DataLoader

from gatesweep.tasks.forecasting.prepare import Prepared
from gatesweep.tasks.forecasting.windows import WindowBatch, Windows, as_it_is
from gatesweep.tasks.order import EpochShuffle

EVAL_BATCH = 256


def in_order(windows: Windows, batch_size: int) -> DataLoader[WindowBatch]:
    """Every window once, in the order of time. The metrics do not depend on `batch_size`."""
    return DataLoader(windows, batch_size=batch_size, collate_fn=as_it_is)


class WindowsModule(pl.LightningDataModule):
    """Loaders of one prepared series."""

    def __init__(self, prepared: Prepared, *, batch_size: int, seed: int) -> None:
        super().__init__()
        self.prepared, self.batch_size, self.seed = prepared, batch_size, seed

    def train_dataloader(self) -> DataLoader[WindowBatch]:
        """Shuffled, as a function of (seed, epoch)."""
        windows = self.prepared.windows("train")
        sampler = EpochShuffle(len(windows), self.seed)
        return DataLoader(windows, batch_size=self.batch_size, sampler=sampler, collate_fn=as_it_is)

    def val_dataloader(self) -> DataLoader[WindowBatch]:
        return self._in_order("val")

    def test_dataloader(self) -> DataLoader[WindowBatch]:
        return self._in_order("test")

    def _in_order(self, split: str) -> DataLoader[WindowBatch]:
        return in_order(self.prepared.windows(split), max(self.batch_size, EVAL_BATCH))
