"""train, val and test: consecutive row ranges in the order of time.

    ends = round(n · cumsum(shares))          train = [0, ends₁)   val = [ends₁, ends₂)   test = [ends₂, ends₃)
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ..errors import DataError
from .catalogue import SplitShares


@dataclass(frozen=True)
class Splits:
    """Row ranges `[start, stop)`; they do not overlap, and each is later than the one before."""

    train: tuple[int, int]
    val: tuple[int, int]
    test: tuple[int, int]

    def as_dict(self) -> dict[str, tuple[int, int]]:
        """Name -> range, in the order of time."""
        return {"train": self.train, "val": self.val, "test": self.test}


def split_by_time(n_rows: int, shares: SplitShares | None = None) -> Splits:
    """Split `n_rows` rows that stand in the order of time.

    Raises:
        DataError: a part would be empty.
    """
    shares = shares or SplitShares()
    ends = [0, *(int(end) for end in np.round(np.cumsum([shares.train, shares.val, shares.test]) * n_rows))]
    parts = list(pairwise(ends))
    if any(start >= stop for start, stop in parts):
        raise DataError(f"{n_rows} rows are too few for shares of {shares.train:g}/{shares.val:g}/{shares.test:g}",
                        hint="a longer series, or other shares")
    return Splits(*parts)
