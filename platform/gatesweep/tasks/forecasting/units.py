"""From a series' own units to what is learnt, and back.

Letters: x the series, u what is learnt, z = (u - center) / scale; t a row, o the first row of a forecast, F its steps.

    none        u_t = x_t                     x_(o+k) = u_(o+k)
    log         u_t = ln x_t                  x_(o+k) = exp u_(o+k)
    difference  u_t = x_t - x_(t-1)           x_(o+k) = x_(o-1) + u_o + … + u_(o+k)
    log_return  u_t = ln x_t - ln x_(t-1)     x_(o+k) = x_(o-1) exp(u_o + … + u_(o+k))
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gatesweep.errors import DataError

Floats = NDArray[np.float64]


def to_learnt(values_N: Floats, transform: str, segments: Sequence[tuple[int, int]], *, place: str) -> Floats:
    """u of every row; NaN at the first row of a segment where steps are learnt.

    Raises:
        DataError: a logarithm of zero or less.
    """
    if transform in ("log", "log_return") and (values_N <= 0).any():
        raise DataError(f"transform '{transform}' needs values above 0, and the smallest is {values_N.min():g}",
                        place=place, hint="transform: difference works with any values")
    level_N = np.log(values_N) if transform in ("log", "log_return") else values_N
    if transform in ("none", "log"):
        return level_N
    steps_N = np.diff(level_N, prepend=np.nan)
    steps_N[[start for start, _ in segments]] = np.nan
    return steps_N


def change(values_N: Floats, lag: int, segments: Sequence[tuple[int, int]]) -> Floats:
    """u_t - u_(t-lag) of every row; NaN in the first `lag` rows of a segment."""
    changes_N = np.full_like(values_N, np.nan)
    for start, stop in segments:
        if stop - start > lag:
            changes_N[start + lag : stop] = values_N[start + lag : stop] - values_N[start : stop - lag]
    return changes_N


def from_learnt(learnt_BF: Tensor, last_B: Tensor, transform: str) -> Tensor:
    """x over the horizon from u over the horizon and the last known value x_(o-1)."""
    if transform in ("none", "log"):
        return learnt_BF.exp() if transform == "log" else learnt_BF
    steps = learnt_BF.shape[1]
    sums_BF = learnt_BF @ learnt_BF.new_ones(steps, steps).triu()  # cumsum has no deterministic CUDA kernel
    return last_B.unsqueeze(1) + sums_BF if transform == "difference" else last_B.unsqueeze(1) * sums_BF.exp()


@dataclass(frozen=True)
class Scaler:
    """z = (u - center) / scale, column by column; float32 numbers, so that a checkpoint holds them whole."""

    center_C: Tensor
    scale_C: Tensor

    @classmethod
    def fit(cls, kind: str, rows_NC: Floats) -> Scaler:
        """From the training rows alone; a column that is constant there keeps scale 1."""
        columns = rows_NC.shape[1]
        if kind == "none":
            return cls(torch.zeros(columns), torch.ones(columns))
        if kind == "robust":
            low_C, center_C, high_C = np.nanquantile(rows_NC, [0.25, 0.5, 0.75], axis=0)
            scale_C = high_C - low_C
        else:
            center_C, scale_C = np.nanmean(rows_NC, axis=0), np.nanstd(rows_NC, axis=0)
        scale_C = np.where(scale_C > 1e-9 * np.maximum(1.0, np.abs(center_C)), scale_C, 1.0)
        return cls(torch.tensor(center_C, dtype=torch.float32), torch.tensor(scale_C, dtype=torch.float32))

    def apply(self, rows_NC: Floats) -> Floats:
        """z of every row, in float64."""
        scaled_NC: Floats = (rows_NC - self.center_C.double().numpy()) / self.scale_C.double().numpy()
        return scaled_NC
