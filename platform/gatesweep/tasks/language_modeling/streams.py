"""Running text as contiguous streams, read window by window with the state carried (truncated backpropagation).

    text      w_1 w_2 … w_N                          every word is a target once; what stands before w_1 is <eos>
    streams   S of L words each, one after another   training drops the last N mod S words; evaluation fills up
    windows   T steps of all streams at once         window k+1 goes on where window k ended

Letters: N tokens, S streams, L steps of each, T steps of a window, W windows.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from gatesweep.errors import DataError

IGNORED = -100
"""A target that is none: it fills up the last stream of an evaluation."""

SPREAD, SHORT, SHORT_SHARE, LEAST = 5.0, 0.5, 0.05, 5
"""Merity et al. 2017, section 4.1, and their code: deviation of a window's length; what some are shortened to, and how
many; the least length."""

Ids = NDArray[np.int64]


class Window(NamedTuple):
    """T steps of S streams."""

    ids_ST: Tensor
    targets_ST: Tensor
    start: int
    """Steps before it in every stream: at 0 the state begins anew."""


def streams(ids_N: Ids, count: int, before: int, *, whole: bool) -> tuple[Tensor, Tensor]:
    """Inputs and targets, [S, L] each.

    Args:
        count: S.
        before: the token that the text is read after.
        whole: every token is a target, and the last stream filled up with `IGNORED`; else a rest is dropped.

    Raises:
        DataError: fewer tokens than two for each stream.
    """
    if len(ids_N) < 2 * count:
        raise DataError(f"{len(ids_N)} tokens are too few for {count} streams",
                        hint="a smaller trainer.batch_size (in training) or data.eval_streams")  # fmt: skip
    length = -(-len(ids_N) // count) if whole else len(ids_N) // count
    inputs_N = np.concatenate([[before], ids_N[:-1]])
    filled = [np.full(count * length, value, np.int64) for value in (before, IGNORED)]
    for row, values in zip(filled, (inputs_N, ids_N), strict=True):
        used = min(len(values), len(row))
        row[:used] = values[:used]
    inputs_SL, targets_SL = (torch.from_numpy(row).view(count, length) for row in filled)
    return inputs_SL, targets_SL


def even_borders(length: int, bptt: int) -> list[int]:
    """Where windows of `bptt` steps begin, and the end; the last one may be shorter."""
    return [*range(0, length, bptt), length]


def varied_borders(length: int, bptt: int, seed: int, epoch: int) -> list[int]:
    """The same for windows of lengths drawn as Merity et al. do, a function of (seed, epoch).

    Stretched by a few per mille so that as many of them fill every epoch: schedules count steps.
    """
    windows = max(1, round(length / (bptt * (1 - SHORT_SHARE * (1 - SHORT)))))
    rng = np.random.default_rng((seed, epoch))
    base_W = np.where(rng.random(windows) < SHORT_SHARE, SHORT * bptt, bptt)
    drawn_W = np.maximum(LEAST, rng.normal(base_W, SPREAD).astype(np.int64))
    ends_W = np.round(np.cumsum(drawn_W) * (length / drawn_W.sum())).astype(int)
    return [0, *ends_W.tolist()]


class Windows(Dataset[Window]):
    """Cuts windows out of streams; its keys are `(start, stop)`."""

    def __init__(self, ids_N: Ids, count: int, before: int, *, whole: bool) -> None:
        self.inputs_SL, self.targets_SL = streams(ids_N, count, before, whole=whole)

    @property
    def length(self) -> int:
        """Steps of every stream."""
        return self.inputs_SL.shape[1]

    def __getitem__(self, key: tuple[int, int]) -> Window:
        start, stop = key
        return Window(self.inputs_SL[:, start:stop], self.targets_SL[:, start:stop], start)


class InTurn(Sampler[Any]):
    """Windows one after another."""

    def __init__(self, length: int, bptt: int, *, varied: bool = False, seed: int = 0) -> None:
        self.steps, self.bptt, self.varied, self.stream_seed, self.epoch = length, bptt, varied, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this before each epoch."""
        self.epoch = epoch

    def borders(self) -> list[int]:
        """Of this epoch."""
        if self.varied:
            return varied_borders(self.steps, self.bptt, self.stream_seed, self.epoch)
        return even_borders(self.steps, self.bptt)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        # A generator, so that the epoch is asked for with the first window: Lightning makes a resumed training's first
        # iterator before it sets the epoch.
        yield from pairwise(self.borders())

    def __len__(self) -> int:
        return len(self.borders()) - 1


def loader(windows: Windows, bptt: int, *, varied: bool = False, seed: int = 0) -> DataLoader[Window]:
    """A window is a batch already; there are no worker processes."""
    sampler = InTurn(windows.length, bptt, varied=varied, seed=seed)
    return DataLoader(windows, batch_size=None, sampler=sampler)


class StreamsModule(pl.LightningDataModule):
    """Loaders of the splits that there are."""

    def __init__(self, ids: dict[str, Ids], before: int, *, batch_size: int, eval_streams: int, bptt: int,
                 varied: bool, seed: int) -> None:  # fmt: skip
        super().__init__()
        self.ids, self.before, self.batch_size, self.eval_streams = ids, before, batch_size, eval_streams
        self.bptt, self.varied, self.seed = bptt, varied, seed

    def train_dataloader(self) -> DataLoader[Window]:
        """`batch_size` streams."""
        windows = Windows(self.ids["train"], self.batch_size, self.before, whole=False)
        return loader(windows, self.bptt, varied=self.varied, seed=self.seed)

    def val_dataloader(self) -> DataLoader[Window]:
        return self.in_order(self.ids["val"])

    def in_order(self, ids_N: Ids) -> DataLoader[Window]:
        """Every token a target once. Fewer streams where there is little text."""
        count = max(1, min(self.eval_streams, len(ids_N) // 2))
        windows = Windows(ids_N, count, self.before, whole=True)
        return loader(windows, self.bptt)
