"""Examples in batches: each is a function of (seed, split, epoch, number), so that there is no state to save.

Shape suffixes: B batch, N steps of the longest example, D inputs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from gatesweep.tasks.synthetic.config import SyntheticData
from gatesweep.tasks.synthetic.problems import IGNORED, Example, Problem, problem_of

SPLITS = ("train", "val", "test")
EVAL_BATCH = 100
Key = tuple[int, int]
"""Epoch and number."""


class SyntheticBatch(NamedTuple):
    """B examples; see `Example`."""

    x_BND: Tensor
    lengths_B: Tensor
    labels_BN: Tensor
    scored_BN: Tensor
    value_B: Tensor

class Drawn(Dataset[SyntheticBatch]):
    """One split, drawn as it is asked for."""

    def __init__(self, problem: Problem, split: str, size: int, seed: int) -> None:
        self.problem, self.split, self.size, self.seed = problem, SPLITS.index(split), size, seed

    def __len__(self) -> int:
        return self.size

    def example(self, epoch: int, number: int) -> Example:
        """The same for the same arguments."""
        return self.problem.draw(np.random.default_rng((self.seed, self.split, epoch, number)))

    def __getitems__(self, keys: list[Key]) -> SyntheticBatch:
        """A whole batch at once."""
        return batch_of([self.example(*key) for key in keys])

    def __getitem__(self, key: Key) -> SyntheticBatch:
        return self.__getitems__([key])


def batch_of(examples: list[Example]) -> SyntheticBatch:
    """Padded with zeros, of which nothing is asked."""
    lengths = [len(each.labels_N) for each in examples]
    B, N = len(examples), max(lengths)
    x_BND = np.zeros((B, N, examples[0].x_ND.shape[1]), np.float32)
    labels_BN, scored_BN = np.full((B, N), IGNORED), np.zeros((B, N), bool)
    for row, (each, length) in enumerate(zip(examples, lengths, strict=True)):
        x_BND[row, :length], labels_BN[row, :length], scored_BN[row, :length] = each.x_ND, each.labels_N, each.scored_N
    value_B = torch.tensor([each.value for each in examples], dtype=torch.float64)
    return SyntheticBatch(torch.from_numpy(x_BND), torch.tensor(lengths), torch.from_numpy(labels_BN),
                          torch.from_numpy(scored_BN), value_B)  # fmt: skip


class Numbers(Sampler[Key]):
    """The numbers of an epoch's examples, with the epoch that they are drawn for: 0 where the same come every time."""

    def __init__(self, size: int, *, fresh: bool) -> None:
        self.size, self.fresh, self.epoch = size, fresh, 0

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[Key]:
        # a generator: a resumed training's first iterator is made before its epoch is set
        for number in range(self.size):
            yield self.epoch if self.fresh else 0, number


def as_it_is(batch: Any) -> Any:
    """The loader's collate function: `__getitems__` has made the batch."""
    return batch


def loader(drawn: Drawn, batch_size: int, *, fresh: bool = False) -> DataLoader[SyntheticBatch]:
    """Every example once."""
    sampler = Numbers(len(drawn), fresh=fresh)
    return DataLoader(drawn, batch_size=batch_size, sampler=sampler, collate_fn=as_it_is)


class SyntheticModule(pl.LightningDataModule):
    """Loaders of all splits. Examples are alike, so that they need no shuffling."""

    def __init__(self, data: SyntheticData, *, batch_size: int, seed: int) -> None:
        super().__init__()
        self.data, self.batch_size, self.seed = data, batch_size, seed

    def drawn(self, split: str, data: SyntheticData | None = None) -> Drawn:
        """A split, or the same of a problem of other settings."""
        data = data or self.data
        return Drawn(problem_of(data), split, getattr(data, split), self.seed)

    def train_dataloader(self) -> DataLoader[SyntheticBatch]:
        """As a function of (seed, epoch) where `fresh`."""
        return loader(self.drawn("train"), self.batch_size, fresh=self.data.fresh)

    def val_dataloader(self) -> DataLoader[SyntheticBatch]:
        return loader(self.drawn("val"), max(self.batch_size, EVAL_BATCH))
