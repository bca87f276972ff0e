"""Batches of texts, and which loader feeds which stage.

Shape suffixes: B batch, T tokens of its longest text, D width of ready-made vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from gatesweep.tasks.classification.features import Features
from gatesweep.tasks.classification.prepare import Prepared
from gatesweep.tasks.text.batches import Buckets, Ids, pad

EVAL_BATCH = 128


class TextBatch(NamedTuple):
    """B texts."""

    ids_BT: Tensor
    lengths_B: Tensor
    label_B: Tensor
    index_B: Tensor
    """Their places in the split."""
    context_BTD: Tensor | None
    """A frozen encoder's vectors, where there is one."""


class Batches(Dataset[TextBatch]):
    """The texts of a split as the model reads them; asked for a list of places, it gives a whole batch."""

    def __init__(self, rows: Sequence[Ids], label_N: Ids, features: Features | None) -> None:
        self.rows, self.label_N, self.features = rows, label_N, features

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, places: list[int]) -> TextBatch:  # type: ignore[override]
        chosen = [self.rows[place] for place in places]
        ids_BT, lengths_B = pad(chosen)
        context_BTD = self.features.batch(chosen) if self.features else None
        return TextBatch(ids_BT, lengths_B, torch.from_numpy(self.label_N[places]), torch.tensor(places), context_BTD)


def as_it_is(batch: Any) -> Any:
    """The loader's collate function: the dataset has made the batch."""
    return batch


def loader_of(
    prepared: Prepared, split: str, batch_size: int, *, seed: int = 0, shuffle: bool = False,
    features: Features | None = None,
) -> DataLoader[TextBatch]:  # fmt: skip
    """Every text of a split once, alike lengths together.

    The buckets are the loader's sampler, not its batch sampler, for Lightning tells samplers alone which epoch it is.
    """
    side = prepared.side(split)
    rows = side.read(prepared.longest(split), prepared.data, prepared.reader)
    if features:
        features.complete(rows)
    buckets = Buckets(np.array([len(row) for row in rows]), batch_size, seed=seed, shuffle=shuffle,
                      max_steps=prepared.data.batch_tokens)  # fmt: skip
    return DataLoader(Batches(rows, side.label_N, features), batch_size=None, sampler=buckets, collate_fn=as_it_is)


class TextsModule(pl.LightningDataModule):
    """Loaders of the three splits."""

    def __init__(self, prepared: Prepared, *, batch_size: int, seed: int, features: Features | None) -> None:
        super().__init__()
        self.prepared, self.batch_size, self.seed, self.features = prepared, batch_size, seed, features

    def train_dataloader(self) -> DataLoader[TextBatch]:
        """Shuffled, as a function of (seed, epoch)."""
        return loader_of(self.prepared, "train", self.batch_size, seed=self.seed, shuffle=True, features=self.features)

    def val_dataloader(self) -> DataLoader[TextBatch]:
        return self._in_order("val")

    def test_dataloader(self) -> DataLoader[TextBatch]:
        return self._in_order("test")

    def _in_order(self, split: str) -> DataLoader[TextBatch]:
        return loader_of(self.prepared, split, max(self.batch_size, EVAL_BATCH), features=self.features)
