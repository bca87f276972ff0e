"""A worker's share of every batch: the rows r, r + W, r + 2 W, … of worker r of W, and nothing of validation's.

The batches are those of a single worker, in its order. Where a loader asks its set for lists of indices, a worker
loads its own rows alone; where a batch is one key (a window of running text), it loads the batch and keeps its rows. A
batch of fewer rows than workers leaves some with none: they compute its first row, and it counts for nothing.

Validation is not shared out: every worker looks at all of it, so that its metrics are the single worker's to the bit
and no two workers can disagree on when to stop.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, IterableDataset, RandomSampler

from gatesweep.errors import ConfigError
from gatesweep.train.team import Team

COPIED = ("num_workers", "collate_fn", "pin_memory", "timeout", "worker_init_fn", "multiprocessing_context",
          "generator", "prefetch_factor", "persistent_workers")  # fmt: skip


class Shared(pl.LightningDataModule):
    """A data module whose training batches are shared out."""

    def __init__(self, inner: pl.LightningDataModule, team: Team, shares: deque[int]) -> None:
        super().__init__()
        self.inner, self.team, self.shares = inner, team, shares

    def prepare_data(self) -> None:
        self.inner.prepare_data()

    def setup(self, stage: str) -> None:
        self.inner.trainer = self.trainer
        self.inner.setup(stage)

    def teardown(self, stage: str) -> None:
        self.inner.teardown(stage)

    def train_dataloader(self) -> Any:
        return Share(self.inner.train_dataloader(), self.team, self.shares)

    def val_dataloader(self) -> Any:
        return self.inner.val_dataloader()


class Share:
    """One worker's rows of every batch of a loader; how many they are goes to `shares`."""

    def __init__(self, loader: Any, team: Team, shares: deque[int]) -> None:
        self.loader, self.team, self.shares = loader, team, shares
        self.sampler = getattr(loader, "sampler", None)
        """Lightning tells it the epoch."""

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Any]:
        loader, keys = self.loader, self._keys()
        if keys is None:
            for batch in loader:
                yield self._rows(batch)
            return
        common = {name: getattr(loader, name) for name in COPIED}
        by_key: DataLoader[Any]
        if loader.batch_sampler is None:
            by_key = DataLoader(loader.dataset, batch_size=None, sampler=keys, **common)
        else:
            by_key = DataLoader(loader.dataset, batch_sampler=keys, **common)
        for batch in by_key:
            yield batch if keys.by_index else self._rows(batch)

    def _keys(self) -> _Keys | None:
        """What the loader asks its set for, shared out; None where it asks for nothing."""
        loader = self.loader
        if not isinstance(loader, DataLoader) or isinstance(loader.dataset, IterableDataset):
            return None
        asked = loader.sampler if loader.batch_sampler is None else loader.batch_sampler
        return _Keys(asked, self._choose, self.team, random=_is_random(loader))

    def _choose(self, rows: list[Any]) -> list[Any]:
        chosen = rows[self.team.rank :: self.team.size]
        self.shares.append(len(chosen))
        return chosen or rows[:1]

    def _rows(self, batch: Any) -> Any:
        size = size_of(batch)
        if not size:
            raise ConfigError("the training batches have no tensor whose first dimension is the batch's: they cannot"
                              " be shared out over workers", hint="trainer.workers: 1")  # fmt: skip
        return rows_of(batch, self._choose(list(range(size))), size)


class _Keys:
    """The keys of one epoch. `by_index`: each is a list, of which this worker's part is given; known once begun."""

    def __init__(self, inner: Iterable[Any], choose: Callable[[list[Any]], list[Any]], team: Team, *,
                 random: bool) -> None:
        self.inner, self.choose, self.team, self.random = inner, choose, team, random
        self.by_index = False

    def __len__(self) -> int:
        return len(self.inner)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[Any]:
        inner = self.inner
        if self.random:  # drawn from the generator that dropout draws from, of which each worker has its own
            inner = self.team.from_first(list(inner) if self.team.rank == 0 else [])
        for key in inner:
            self.by_index = isinstance(key, list)
            yield self.choose(key) if self.by_index else key


def _is_random(loader: DataLoader[Any]) -> bool:
    return isinstance(loader.sampler, RandomSampler) and loader.sampler.generator is None


def size_of(batch: Any) -> int:
    """The first dimension of a batch's first tensor; 0 where there is none."""
    if isinstance(batch, torch.Tensor):
        return len(batch) if batch.dim() else 0
    parts = batch.values() if isinstance(batch, Mapping) else batch if isinstance(batch, list | tuple) else ()
    return next((size for part in parts if (size := size_of(part))), 0)


def rows_of(batch: Any, rows: list[int], size: int) -> Any:
    """The same with these rows alone, of every tensor and list that is `size` long."""
    if isinstance(batch, torch.Tensor):
        return batch[rows] if batch.dim() and len(batch) == size else batch
    if isinstance(batch, Mapping):
        return {key: rows_of(value, rows, size) for key, value in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(rows_of(part, rows, size) for part in batch))
    if isinstance(batch, list | tuple) and any(isinstance(part, torch.Tensor | Mapping | list | tuple)
                                               for part in batch):
        return type(batch)(rows_of(part, rows, size) for part in batch)
    if isinstance(batch, list | tuple) and len(batch) == size:
        return type(batch)(batch[row] for row in rows)
    return batch
