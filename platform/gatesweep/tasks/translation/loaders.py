"""Pairs in batches of similar length, and the data module.

A sampler gives whole batches, as lists of indices, to a loader that makes none itself (`batch_size=None`): so Lightning
tells it the epoch, which it does not tell a `batch_sampler`. The number of batches is the same in every epoch.

Shape suffixes: B batch, T steps of the source, U of the target with its begin or its end.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from gatesweep.tasks.text.batches import Buckets, pad
from gatesweep.tasks.translation.prepare import Encoded, Ids, Prepared, read_as
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
        self.encoded, self.source, self.target = encoded, encoded.source, encoded.target
        self.lengths_N = np.array([len(a) + len(b) for a, b in zip(self.source, self.target, strict=True)], np.int64)
        """Of both sides: what a batch is padded to on either counts."""

    def __len__(self) -> int:
        return len(self.encoded)

    def __getitem__(self, indices: list[int]) -> PairBatch:  # type: ignore[override]
        source_BT, lengths_B = pad([self.source[i] for i in indices], PAD)
        given_BU, _ = pad([np.insert(self.target[i], 0, BEGIN) for i in indices], PAD)
        wanted_BU, _ = pad([np.append(self.target[i], END) for i in indices], PAD)
        return PairBatch(source_BT, lengths_B, given_BU, wanted_BU, torch.tensor(indices))


class Resampled(Buckets):
    """Training batches whose sentences are cut anew in every epoch, as a function of (seed, epoch)."""

    def __init__(self, pairs: PairSet, prepared: Prepared, batch_size: int, **more: Any) -> None:
        super().__init__(pairs.lengths_N, batch_size, **more)
        self.pairs, self.prepared = pairs, prepared
        self._cut_in: int | None = None

    def __iter__(self) -> Iterator[list[int]]:
        if self._cut_in != self.epoch:
            self._cut_in, self.pairs.source, self.pairs.target = self.epoch, *self._sampled()
        yield from super().__iter__()

    def _sampled(self) -> tuple[tuple[Ids, ...], tuple[Ids, ...]]:
        data, encoded = self.prepared.data, self.pairs.encoded
        assert data.resample is not None
        sides = []
        for subwords, lines, usual, number in (
            (self.prepared.of_source, encoded.sources, encoded.source, 0),
            (self.prepared.of_target, encoded.references, encoded.target, 1),
        ):
            seed = int(np.random.default_rng((self.seed, self.epoch, number)).integers(2**31))
            cut = subwords.sample([read_as(line, data) for line in lines], data.resample, seed)
            sides.append(tuple(ids if len(ids) <= data.max_length else whole
                               for ids, whole in zip(cut, usual, strict=True)))  # fmt: skip
        return sides[0], sides[1]


def as_it_is(batch: Any) -> Any:
    """The loader's collate function: the set has made the batch."""
    return batch


def in_order(encoded: Encoded, batch_size: int) -> DataLoader[PairBatch]:
    """Every pair once, from the longest to the shortest."""
    pairs = PairSet(encoded)
    sampler = Buckets(pairs.lengths_N, batch_size, shuffle=False)
    return DataLoader(pairs, batch_size=None, sampler=sampler, collate_fn=as_it_is)


class PairsModule(pl.LightningDataModule):
    """Loaders of one prepared set."""

    def __init__(self, prepared: Prepared, *, batch_size: int, seed: int) -> None:
        super().__init__()
        self.prepared, self.batch_size, self.seed = prepared, batch_size, seed

    def train_dataloader(self) -> DataLoader[PairBatch]:
        """Shuffled, as a function of (seed, epoch)."""
        pairs = PairSet(self.prepared.splits["train"])
        if self.prepared.data.resample is None:
            sampler = Buckets(pairs.lengths_N, self.batch_size, seed=self.seed)
        else:
            sampler = Resampled(pairs, self.prepared, self.batch_size, seed=self.seed)
        return DataLoader(pairs, batch_size=None, sampler=sampler, collate_fn=as_it_is)

    def val_dataloader(self) -> DataLoader[PairBatch]:
        return self._in_order("val")

    def test_dataloader(self) -> DataLoader[PairBatch]:
        return self._in_order("test")

    def _in_order(self, split: str) -> DataLoader[PairBatch]:
        return in_order(self.prepared.splits[split], max(self.batch_size, EVAL_BATCH))
