"""Memory that training steps use again."""

from __future__ import annotations

import gc

import pytest
import torch

from gatesweep.cells import memory
from gatesweep.cells.layer import Recurrent

LARGE = memory.SMALLEST_BYTES // 4


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_KEPT", memory._Kept())


def blocks() -> list[int]:
    """Sizes of what is kept."""
    return [len(block) for block in [*memory._KEPT._blocks, *memory._KEPT._returned]]


def test_memory_is_used_again_when_the_last_tensor_on_it_is_gone() -> None:
    like = torch.empty(0)
    first = memory.empty(LARGE, like=like)
    view, pages = first[100:], first.data_ptr() // memory.mmap.PAGESIZE
    del first
    assert memory.empty(LARGE, like=like).data_ptr() // memory.mmap.PAGESIZE != pages  # the view still stands on it
    del view
    again = memory.empty(LARGE, like=like).data_ptr() // memory.mmap.PAGESIZE
    assert abs(again - pages) < 2  # it may start a page further on


def test_tensors_on_used_memory_are_apart_and_aligned() -> None:
    like = torch.empty(0, dtype=torch.float64)
    for _ in range(3):
        a, b = memory.empty(LARGE, 3, like=like).fill_(1.0), memory.empty(3, LARGE, like=like).fill_(2.0)
        assert (a.dtype, a.shape, b.shape) == (torch.float64, (LARGE, 3), (3, LARGE))
        assert (a == 1).all()
        assert (b == 2).all()
        assert a.data_ptr() % 64 == b.data_ptr() % 64 == 0


def test_small_tensors_and_those_of_other_devices_are_torchs_own() -> None:
    memory.empty(8, like=torch.empty(0))
    assert memory.empty(LARGE, like=torch.empty(0, device="meta")).device.type == "meta"
    assert blocks() == []


def test_no_more_than_the_limit_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "KEPT_BYTES", 5 * memory.SMALLEST_BYTES)
    like = torch.empty(0)
    held = [memory.empty(k * LARGE, like=like) for k in range(1, 5)]
    held.clear()
    assert sum(blocks()) > memory.KEPT_BYTES
    held.append(memory.empty(4 * LARGE, like=like))  # of a size that is there
    assert sum(blocks()) <= memory.KEPT_BYTES


def test_outputs_stay_as_they_are_while_later_steps_run() -> None:
    layer, x = Recurrent("vanilla", input_size=32, hidden_size=256, backend="native"), torch.randn(40, 32, 32)
    y, _ = layer(x)
    kept = y.detach().clone()
    for _ in range(3):
        z, _ = layer(torch.randn(40, 32, 32))
        z.sum().backward()
        del z
    gc.collect()
    assert torch.equal(y, kept)
    y.sum().backward()
