"""Pairs in batches of similar length, and the data module.

A sampler gives whole batches, as lists of indices, to a loader that makes none itself (`batch_size=None`): so Lightning
tells it the epoch, which it does not tell a `batch_sampler`. The number of batches is the same in every epoch.

Shape suffixes: B batch, T steps of the source, U of the target with its begin or its end.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from gatesweep.tasks.text.batches import Buckets, pad
from gatesweep.tasks.translation.prepare import Encoded, Prepared
from gatesweep.tasks.translation.subwords import BEGIN, END, PAD

EVAL_BATCH = 128


class PairBatch(NamedTuple):
    """B pairs."""

    source_BT: Tensor
    lengths_B: Tensor
    given_BU: Tensor
    """What the decoder reads: begin, y_1 … y_n."""

    wanted_BU: Tensor
    """What it has to write: y_1 … y_n, end."""

    index_B: Tensor
    """Which pairs of the split these are."""


class PairSet(Dataset[PairBatch]):
    """One split, asked for by the batch."""

    def __init__(self, encoded: Encoded) -> None:
        self.encoded = encoded
        self.lengths_N = np.array([len(ids) for ids in encoded.source], dtype=np.int64)

    def __len__(self) -> int:
        return len(self.encoded)

    def __getitem__(self, indices: list[int]) -> PairBatch:  # type: ignore[override]
        source, target = self.encoded.source, self.encoded.target
        source_BT, lengths_B = pad([source[i] for i in indices], PAD)
        given_BU, _ = pad([np.insert(target[i], 0, BEGIN) for i in indices], PAD)
        wanted_BU, _ = pad([np.append(target[i], END) for i in indices], PAD)
        return PairBatch(source_BT, lengths_B, given_BU, wanted_BU, torch.tensor(indices))


def as_it_is(batch: Any) -> Any:
    """The loader's collate function: the set has made the batch."""
    return batch


def loader_of(encoded: Encoded, batch_size: int, *, seed: int = 0, shuffle: bool = False, rank: int = 0,
              replicas: int = 1) -> DataLoader[PairBatch]:
    """Every pair once an epoch; in order, from the longest to the shortest source."""
    pairs = PairSet(encoded)
    sampler = Buckets(pairs.lengths_N, batch_size, seed=seed, shuffle=shuffle, rank=rank, replicas=replicas)
    return DataLoader(pairs, batch_size=None, sampler=sampler, collate_fn=as_it_is)


class PairsModule(pl.LightningDataModule):
    """Loaders of one prepared set."""

    def __init__(self, prepared: Prepared, *, batch_size: int, seed: int) -> None:
        super().__init__()
        self.prepared, self.batch_size, self.seed = prepared, batch_size, seed

    def train_dataloader(self) -> DataLoader[PairBatch]:
        """Shuffled, as a function of (seed, epoch)."""
        return loader_of(self.prepared.splits["train"], self.batch_size, seed=self.seed, shuffle=True, **self._share())

    def val_dataloader(self) -> DataLoader[PairBatch]:
        return self._in_order("val")

    def test_dataloader(self) -> DataLoader[PairBatch]:
        return self._in_order("test")

    def _in_order(self, split: str) -> DataLoader[PairBatch]:
        return loader_of(self.prepared.splits[split], max(self.batch_size, EVAL_BATCH), **self._share())

    def _share(self) -> dict[str, Any]:
        return {"rank": self.trainer.global_rank, "replicas": self.trainer.world_size} if self.trainer else {}
