"""In which order examples come: a function of seed and epoch, so that there is no state to save."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch.utils.data import DistributedSampler


class EpochShuffle(DistributedSampler[int]):
    """A shuffled order that is a function of (seed, epoch) alone: a resumed training goes on exactly.

    A kind of DistributedSampler, so that Lightning sets its epoch and puts no sampler of its own in its place. Each
    rank takes every `replicas`-th example; the order is filled up from its begin so that all ranks make as many steps.
    """

    def __init__(self, size: int, seed: int, *, rank: int = 0, replicas: int = 1) -> None:
        super().__init__(range(size), num_replicas=replicas, rank=rank, seed=seed)  # type: ignore[arg-type]
        self.size = size

    def __iter__(self) -> Iterator[int]:
        order = np.random.default_rng((self.seed, self.epoch)).permutation(self.size)
        return iter(np.resize(order, self.total_size)[self.rank :: self.num_replicas].tolist())


class InOrder(DistributedSampler[int]):
    """Every example once, in its order; a rank with one fewer gets an index past the end, a filling copy."""

    def __init__(self, size: int, *, rank: int = 0, replicas: int = 1) -> None:
        super().__init__(range(size), num_replicas=replicas, rank=rank, shuffle=False)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.rank, self.total_size, self.num_replicas))
