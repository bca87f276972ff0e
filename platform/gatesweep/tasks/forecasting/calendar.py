"""The clock as numbers that a network reads: points on circles, so that 23 h lies beside 0 h.

For each feature with phase p in [0, 1) and each harmonic k = 1 … K: sin(2π k p), cos(2π k p).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Phase = Callable[[pd.DatetimeIndex], pd.Index]

PHASES: dict[str, Phase] = {
    "hour": lambda times: (times.hour + times.minute / 60 + times.second / 3600) / 24,
    "weekday": lambda times: times.day_of_week / 7,
    "monthday": lambda times: (times.day - 1) / times.days_in_month,
    "yearday": lambda times: (times.day_of_year - 1) / 365.25,
}


def columns(features: Sequence[str], harmonics: int) -> int:
    """How many columns `encode` makes."""
    return 2 * harmonics * len(features)


def encode(times: pd.DatetimeIndex, features: Sequence[str], harmonics: int) -> NDArray[np.float64]:
    """The features of every row, `[rows, columns]`: per feature and harmonic its sine, then its cosine."""
    phases = [PHASES[name](times).to_numpy(np.float64) for name in features]
    angles = [2 * np.pi * k * phase for phase in phases for k in range(1, harmonics + 1)]
    waves = [wave(angle) for angle in angles for wave in (np.sin, np.cos)]
    return np.stack(waves, axis=1) if waves else np.empty((len(times), 0))
