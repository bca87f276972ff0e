"""A worker's rows: together all of every batch, once, in the order of one worker, whatever a batch is made of."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, RandomSampler, TensorDataset

from gatesweep.errors import ConfigError
from gatesweep.tasks.text.batches import Buckets
from gatesweep.train.shares import Share, rows_of, size_of


class Place:
    """As much of a team as a share needs; what worker 0 says is kept for the others."""

    said: Any = None

    def __init__(self, rank: int, size: int) -> None:
        self.rank, self.size = rank, size

    def from_first(self, own: Any) -> Any:
        Place.said = own if self.rank == 0 else Place.said
        return Place.said


class Window(NamedTuple):
    """As of running text: rows, and a number that is of all of them."""

    ids_ST: torch.Tensor
    start: int


class Windows(Dataset[Window]):
    def __getitem__(self, key: tuple[int, int]) -> Window:
        return Window(torch.arange(6).unsqueeze(1) * 10 + torch.arange(*key), key[0])


class Stream(IterableDataset[dict[str, Any]]):
    def __iter__(self) -> Iterator[dict[str, Any]]:
        yield {"x": torch.arange(5), "words": list("abcde"), "of_all": 7}


def shared(loader: Any, size: int) -> tuple[list[list[Any]], list[list[int]]]:
    """Every worker's batches, and how many rows of each are its own."""
    counts: list[deque[int]] = [deque() for _ in range(size)]
    batches = [list(Share(loader, Place(rank, size), counts[rank])) for rank in range(size)]  # type: ignore[arg-type]
    return batches, [list(each) for each in counts]


@pytest.mark.parametrize("size", [2, 3, 5])
def test_the_rows_of_all_workers_are_the_batches_of_one(size: int) -> None:
    loader = DataLoader(TensorDataset(torch.arange(14)), batch_size=4)
    batches, counts = shared(loader, size)
    for number, (whole,) in enumerate(loader):
        own = [batches[rank][number][0][: counts[rank][number]] for rank in range(size)]
        assert torch.cat(own).sort().values.tolist() == whole.tolist()
        for rank, rows in enumerate(own):
            assert rows.tolist() == whole[rank::size].tolist()
            assert len(batches[rank][number][0]) == max(1, len(rows))  # one row to compute, that counts for nothing


def test_an_order_that_is_drawn_is_drawn_once_for_all() -> None:
    data = TensorDataset(torch.arange(20))
    loader = DataLoader(data, batch_size=4, sampler=RandomSampler(data))
    batches, _ = shared(loader, 2)
    torch.manual_seed(1)
    both = [torch.cat([a, b]) for (a,), (b,) in zip(*batches, strict=True)]
    assert torch.cat(both).sort().values.tolist() == list(range(20))


def test_lists_of_places_are_shared_before_anything_is_loaded() -> None:
    asked: list[list[int]] = []

    class Rows(Dataset[list[int]]):
        def __getitem__(self, places: list[int]) -> list[int]:  # type: ignore[override]
            asked.append(places)
            return places

    buckets = Buckets([3, 1, 2, 5, 4], 3, shuffle=False)
    batches, counts = shared(DataLoader(Rows(), batch_size=None, sampler=buckets, collate_fn=list), 2)
    assert asked == [*batches[0], *batches[1]] == [[3, 0], [2], [4], [1]]
    assert counts == [[2, 1], [1, 1]]


def test_a_batch_that_is_one_key_is_loaded_whole_and_its_rows_are_shared() -> None:
    loader = DataLoader(Windows(), batch_size=None, sampler=[(0, 2), (2, 4)])
    batches, counts = shared(loader, 2)
    assert [window.start for window in batches[1]] == [0, 2]
    assert batches[1][1].ids_ST.tolist() == [[12, 13], [32, 33], [52, 53]]
    assert counts == [[3, 3], [3, 3]]


def test_a_stream_s_batches_are_cut_wherever_they_are_as_long_as_the_batch() -> None:
    batches, _ = shared(DataLoader(Stream(), batch_size=None), 2)
    assert batches[1][0]["x"].tolist() == [1, 3]
    assert batches[1][0]["words"] == ["b", "d"]
    assert batches[1][0]["of_all"] == 7


def test_parts_of_another_length_stay_whole() -> None:
    batch = [torch.arange(3), (torch.zeros(4, 2), torch.tensor(1.5)), {"y": torch.arange(4)}]
    assert size_of(batch) == 3
    cut = rows_of(batch, [0, 2], 3)
    assert cut[0].tolist() == [0, 2]
    assert (len(cut[1][0]), len(cut[2]["y"])) == (4, 4)


def test_a_batch_without_a_tensor_cannot_be_shared() -> None:
    with pytest.raises(ConfigError, match="cannot be shared out"):
        shared([7, 8], 2)
