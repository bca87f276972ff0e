"""Tensors whose memory is used again by the next training step.

The C library gives large blocks back to the system as soon as they are free, and every step pays for getting them
again, page by page: up to a tenth of its time. Here a block is kept when the last tensor on it is gone, whoever holds
that (autograd, a gradient, the caller), and handed out for the next tensor of about its size.
"""

from __future__ import annotations

import itertools
import math
import mmap
import weakref
from collections import deque
from threading import Lock

import numpy as np
import torch
from torch import Tensor

SMALLEST_BYTES = 1 << 20
"""Below it the C library keeps blocks by itself."""

COLOURS, COLOUR_BYTES = 16, 320
"""Tensors start at different places of a page: rows of equal number would else fight for the same lines of a cache."""

KEPT_BYTES = 1 << 29
"""What is kept at most; the longest unused goes first."""


def empty(*shape: int, like: Tensor) -> Tensor:
    """As `like.new_empty(shape)`; on the CPU a large one stands on memory that was used before, if there is any."""
    size = math.prod(shape) * like.element_size()
    if size < SMALLEST_BYTES or like.device.type != "cpu":
        return like.new_empty(shape)
    block = _KEPT.take(_rounded(size + COLOURS * COLOUR_BYTES))
    start = next(_COLOURS) * COLOUR_BYTES
    lease = np.frombuffer(block, np.uint8, size, start)  # it dies with the last tensor on it
    weakref.finalize(lease, _KEPT.give_back, block).atexit = False
    return torch.from_numpy(lease).view(like.dtype).view(shape)


def _rounded(size: int) -> int:
    """Up to a whole number of eighths of the power of 2 below: sequences of about one length share their blocks."""
    step = 1 << max(mmap.PAGESIZE.bit_length() - 1, size.bit_length() - 4)
    return -(-size // step) * step


class _Kept:
    """Blocks that no tensor stands on."""

    def __init__(self) -> None:
        self._returned: deque[mmap.mmap] = deque()  # a finalizer may run anywhere, even within `take`: it only appends
        self._blocks: list[mmap.mmap] = []  # the longest unused first
        self._lock = Lock()

    def take(self, size: int) -> mmap.mmap:
        with self._lock:
            while self._returned:
                self._blocks.append(self._returned.popleft())
            while sum(map(len, self._blocks)) > KEPT_BYTES:
                self._blocks.pop(0)
            for k in reversed(range(len(self._blocks))):  # the last given back may still be in a cache
                if len(self._blocks[k]) == size:
                    return self._blocks.pop(k)
        return _new(size)

    def give_back(self, block: mmap.mmap) -> None:
        self._returned.append(block)


def _new(size: int) -> mmap.mmap:
    block = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        block.madvise(mmap.MADV_HUGEPAGE)
    return block


_KEPT = _Kept()
_COLOURS = itertools.cycle(range(COLOURS))
