"""Sequences of many lengths in batches: like with like, so that little is padding.

Letters: N sequences, B of a batch, T steps of its longest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Sampler

Ids = NDArray[np.int64]


def pad(rows: Sequence[Ids], padding: int = 0) -> tuple[Tensor, Tensor]:
    """`ids_BT` with `padding` after each row's end, and `lengths_B`."""
    lengths_B = torch.tensor([len(row) for row in rows])
    ids_BT = torch.full((len(rows), int(lengths_B.max())), padding)
    for number, row in enumerate(rows):
        ids_BT[number, : len(row)] = torch.from_numpy(row)
    return ids_BT, lengths_B


class Buckets(Sampler[list[int]]):
    """Batches of similar length, as lists of indices: a loader's `batch_sampler`.

    Shuffled, the batches are a function of (seed, epoch) alone, so that a resumed training goes on exactly: windows of
    `pool` shuffled sequences are sorted by length, cut, and the batches shuffled again. In order, the batches go from
    the longest to the shortest, and every sequence comes once.

    Args:
        lengths_N: of every sequence, in steps.
        max_steps: of a batch with its padding, B times T; a sequence that is longer alone is a batch of its own.
        pool: batches' worth of sequences that are sorted together.
    """

    def __init__(
        self, lengths_N: Sequence[int] | Ids, batch_size: int, *, seed: int = 0, shuffle: bool = True,
        max_steps: int | None = None, pool: int = 50,
    ) -> None:  # fmt: skip
        self.lengths_N = np.asarray(lengths_N, dtype=np.int64)
        self.batch_size, self.max_steps, self.pool = batch_size, max_steps, pool
        self.seed, self.shuffle, self.epoch = seed, shuffle, 0
        self._made: tuple[int, list[list[int]]] | None = None

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this before each epoch."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[list[int]]:
        # A generator: a resumed training's first iterator is made before its epoch is set, and must not draw yet.
        yield from self._batches()

    def __len__(self) -> int:
        return len(self._batches())

    def _batches(self) -> list[list[int]]:
        if self._made is None or self._made[0] != self.epoch:
            self._made = self.epoch, self._shuffled() if self.shuffle else self._cut(self._by_length(self._all()))
        return self._made[1]

    def _shuffled(self) -> list[list[int]]:
        rng = np.random.default_rng((self.seed, self.epoch))
        order_N, size = rng.permutation(len(self.lengths_N)), self.batch_size * self.pool
        pools = [self._by_length(order_N[start : start + size]) for start in range(0, len(order_N), size)]
        batches = [batch for each in pools for batch in self._cut(each)]
        return [batches[place] for place in rng.permutation(len(batches))]

    def _all(self) -> Ids:
        return np.arange(len(self.lengths_N))

    def _by_length(self, index_M: Ids) -> Ids:
        return index_M[np.argsort(-self.lengths_N[index_M], kind="stable")]

    def _cut(self, index_M: Ids) -> list[list[int]]:
        """Batches of sequences that are sorted, the longest first."""
        batches, start = [], 0
        while start < len(index_M):
            longest = max(1, int(self.lengths_N[index_M[start]]))
            room = self.batch_size if self.max_steps is None else min(self.batch_size, self.max_steps // longest)
            batches.append(index_M[start : start + max(1, room)].tolist())
            start += max(1, room)
        return batches
