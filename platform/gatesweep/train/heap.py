"""Memory that a step frees is the next step's.

glibc maps each large tensor anew and gives it back when it is freed: the kernel clears its pages in every step, which
takes up to a tenth of a training with a large vocabulary.
"""

from __future__ import annotations

import ctypes
import platform

TRIM_THRESHOLD, TOP_PAD, MMAP_THRESHOLD = -1, -2, -3
"""Names of `mallopt`, as malloc.h numbers them."""

KEPT_BYTES = (1 << 31) - 1
MAPPED_BYTES, PAD_BYTES = 1 << 30, 1 << 28


def keep_freed_memory() -> None:
    """From now on the heap grows by 256 MB of addresses at a time and is given back only above 2 GB of free memory.

    What is not written to takes no memory. Where there is no glibc, nothing changes.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    mallopt = ctypes.CDLL(None).mallopt
    for name, value in ((MMAP_THRESHOLD, MAPPED_BYTES), (TRIM_THRESHOLD, KEPT_BYTES), (TOP_PAD, PAD_BYTES)):
        mallopt(name, value)
