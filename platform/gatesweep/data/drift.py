"""How far a column has wandered between train and a later split.

    shift   (mean of the split - mean of train) / deviation of train
    spread  deviation of the split / deviation of train
    ks      the largest distance of the two empirical distribution functions (Kolmogorov & Smirnov); 0 alike, 1 apart

No p-value: the rows of a series are not independent, and it would be tiny whatever happens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.float64]]

SHIFTED = 0.5
"""Deviations of train from which a shift is worth a word."""


@dataclass(frozen=True)
class Drift:
    """One column, train against a later split."""

    column: str
    split: str
    shift: float
    spread: float
    ks: float

    @property
    def shifted(self) -> bool:
        """Whether the later split lies elsewhere."""
        return abs(self.shift) >= SHIFTED


def drift(column: str, split: str, train: Floats, later: Floats) -> Drift | None:
    """None where train is constant: nothing has a size there."""
    deviation = train.std()
    if deviation == 0:
        return None
    points = np.concatenate([train, later])
    below = [np.searchsorted(np.sort(part), points, side="right") / len(part) for part in (train, later)]
    return Drift(column, split, round(float((later.mean() - train.mean()) / deviation), 4),
                 round(float(later.std() / deviation), 4), round(float(np.abs(below[0] - below[1]).max()), 4))
