"""Levels of x86-64: instruction sets that many processors share, so that what one machine compiles runs on others.

They are those of the x86-64 psABI, as GCC names them (-march=x86-64-v3), in the words of /proc/cpuinfo. Another kind of
processor has none here: it compiles for itself.
"""

from __future__ import annotations

import platform
from collections.abc import Collection

_V3 = frozenset({"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave"})
LEVELS = {"x86-64-v4": _V3 | {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}, "x86-64-v3": _V3}
"""Level -> what it asks of a processor beyond the first 64-bit ones; the best first."""


def portable() -> tuple[str, ...]:
    """Levels that an image for machines of this kind holds code for."""
    return tuple(LEVELS) if platform.machine() in ("x86_64", "AMD64") else ()


def had(flags: Collection[str]) -> tuple[str, ...]:
    """Levels that a processor with these instruction sets has, the best first."""
    return tuple(level for level, asked in LEVELS.items() if asked <= set(flags))
