"""Near duplicates: texts of which almost all runs of five words are the same.

    similarity(a, b) = |S_a ∩ S_b| / |S_a ∪ S_b|,   S: the runs of 5 words of a text's key (all of it, if it is shorter)

Candidates come from 16 min-hashes in 8 bands of 2 (A. Broder, 1997; a pair at 0.8 is missed once in 3,000 times), and
are then compared exactly. Where words are not set apart by spaces (Chinese, Japanese), each such character is a word.
"""

from __future__ import annotations

import re
import zlib
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

RUN = 5
SIMILAR = 0.8
_BANDS, _ROWS = 8, 2
_UNSPACED = re.compile("([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff])")
_GOLDEN = 0x9E3779B97F4A7C15

Hashes = np.ndarray[Any, np.dtype[np.uint64]]


def units_of(key: str) -> list[str]:
    """The words of a text's key; of Chinese and Japanese the characters."""
    return key.split() if key.isascii() else _UNSPACED.sub(r" \1 ", key).split()


def near_duplicates(keys: Sequence[str]) -> list[tuple[int, int]]:
    """(place, place of an earlier text like it), for texts of different keys; each place once."""
    runs = [_runs(units_of(key)) for key in keys]
    seen: list[dict[bytes, list[int]]] = [defaultdict(list) for _ in range(_BANDS)]
    found = []
    for place, hashes in enumerate(runs):
        if not len(hashes):
            continue
        bands = _bands(hashes)
        candidates = sorted({each for band, table in zip(bands, seen, strict=True) for each in table.get(band, ())})
        like = next((each for each in candidates if keys[each] != keys[place]
                     and _similarity(runs[each], hashes) >= SIMILAR), None)
        if like is not None:
            found.append((place, like))
        for band, table in zip(bands, seen, strict=True):
            table[band].append(place)
    return found


def _runs(units: Sequence[str]) -> Hashes:
    """One 64-bit hash for each run, sorted, each once."""
    if not units:
        return np.empty(0, dtype=np.uint64)
    words = np.fromiter((zlib.crc32(each.encode()) for each in units), dtype=np.uint64, count=len(units))
    count = max(1, len(words) - RUN + 1)
    mixed = np.zeros(count, dtype=np.uint64)
    for offset in range(min(RUN, len(words))):
        mixed = (mixed ^ words[offset : offset + count]) * np.uint64(_GOLDEN)
        mixed ^= mixed >> np.uint64(29)
    return np.unique(mixed)


def _bands(hashes: Hashes) -> list[bytes]:
    seeds = np.arange(1, _BANDS * _ROWS + 1, dtype=np.uint64) * np.uint64(0xBF58476D1CE4E5B9)
    least = ((hashes[None, :] ^ seeds[:, None]) * np.uint64(_GOLDEN)).min(axis=1)
    edges = range(0, _BANDS * _ROWS + 1, _ROWS)
    return [least[start:stop].tobytes() for start, stop in pairwise(edges)]


def _similarity(a: Hashes, b: Hashes) -> float:
    shared = len(np.intersect1d(a, b, assume_unique=True))
    return shared / (len(a) + len(b) - shared)
