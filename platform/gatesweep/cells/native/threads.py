"""A batch shared among threads.

Torch's products leave the threads of their OpenMP library waiting actively; threads of ours beside them would fight for
the same cores, so the loops run on those.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import torch

MIN_ROWS = 4
"""Sequences below which another thread costs more than it saves."""


def share(batch: int, run: Callable[[int, int, int], None]) -> None:
    """Call `run(part, first, last)` on every share of the batch, in as many threads as torch uses."""
    parts = max(1, min(torch.get_num_threads(), batch // MIN_ROWS))
    bounds = [batch * part // parts for part in range(parts + 1)]
    if parts == 1:
        run(0, 0, batch)
    elif (openmp := _openmp()) is not None and os.getpid() == _PROCESS:
        def shares(_: Any) -> None:
            for k in range(openmp.omp_get_thread_num(), parts, openmp.omp_get_num_threads()):
                run(k, bounds[k], bounds[k + 1])

        openmp.GOMP_parallel(_SHARES(shares), None, parts, 0)
    else:
        for done in [_threads(os.getpid()).submit(run, k, bounds[k], bounds[k + 1]) for k in range(parts)]:
            done.result()


_PROCESS = os.getpid()
_SHARES = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


@lru_cache
def _openmp() -> ctypes.CDLL | None:
    """The library whose threads torch's products use, if it is the one that is known here."""
    try:
        openmp = ctypes.CDLL("libgomp.so.1", mode=getattr(os, "RTLD_NOLOAD", 0))
    except OSError:  # torch uses another, or none
        return None
    openmp.GOMP_parallel.argtypes = [_SHARES, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
    openmp.GOMP_parallel.restype = None
    return openmp


@lru_cache
def _threads(process: int) -> ThreadPoolExecutor:
    """This process's own: a forked child has neither these nor OpenMP's."""
    return ThreadPoolExecutor(thread_name_prefix="gatesweep-cells")
