"""Forecasts without parameters, scored on the very windows that the model is scored on.

    last value            ŷ_(o+k) = y_(o-1)
    seasonal naive, lag m ŷ_(o+k) = y_(o+k-m), and where that lies in the future itself, the last known season again
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gatesweep.tasks.base import Baseline
from gatesweep.tasks.forecasting.metrics import metrics_of, sums_of, zero_sums
from gatesweep.tasks.forecasting.units import Floats

LAST_VALUE = "last value"
CHUNK = 4096


def seasonal_name(lag: int) -> str:
    """What the seasonal-naive baseline is called in logs and tables."""
    return f"seasonal naive, lag {lag}"


def last_value(values_N: Floats, origin_W: NDArray[np.int64], horizon: int) -> Floats:
    """The forecast `[W, F]` that nothing changes."""
    return np.repeat(values_N[origin_W - 1][:, None], horizon, axis=1)


def seasonal_naive(values_N: Floats, origin_W: NDArray[np.int64], horizon: int, lag: int) -> Floats:
    """The forecast `[W, F]` that every step repeats the step `lag` earlier, or its last known season."""
    ahead_F = np.arange(horizon)
    forecast: Floats = values_N[origin_W[:, None] + ahead_F - lag * (ahead_F // lag + 1)]
    return forecast


def score(values: Floats, truth: Floats, origin_W: Tensor, horizon: int, lag: int | None, naive_error: float,
          horizons: tuple[int, ...] = (), *, squared: bool = False) -> dict[str, float]:
    """Metrics of the last value (`lag` none) or of a seasonal naive forecast over these windows.

    Args:
        values: `[N]`, or of several targets `[N, Y]`.
        truth: `values`, NaN where it was never measured.
        horizons, squared: see `metrics_of`.
    """
    sums = zero_sums(horizons)
    for values_N, truth_N in zip(_columns(values), _columns(truth), strict=True):
        for origin_B in np.split(origin_W.numpy(), range(CHUNK, len(origin_W), CHUNK)):
            forecast = (last_value(values_N, origin_B, horizon) if lag is None
                        else seasonal_naive(values_N, origin_B, horizon, lag))
            truth_BF = truth_N[origin_B[:, None] + np.arange(horizon)]
            sums = sums + sums_of(torch.from_numpy(forecast), torch.from_numpy(truth_BF),
                                  torch.from_numpy(values_N[origin_B - 1]), horizons)
    found = metrics_of(sums, naive_error, horizons, squared=squared)
    found.pop("loss", None)
    return found


def _columns(values: Floats) -> Floats:
    """The targets one by one, `[Y, N]`."""
    return values.reshape(len(values), -1).T


def choose_lag(values: Floats, truth: Floats, train_W: Tensor, horizon: int, lags: tuple[int, ...]) -> int:
    """The seasonal lag with the smallest MAE on the training windows; the first of equals."""
    return min(lags, key=lambda lag: score(values, truth, train_W, horizon, lag, np.nan)["mae"])


def majority_direction(train: Floats, train_W: Tensor, values: Floats, origin_W: Tensor,
                       horizon: int) -> tuple[str, dict[str, float]]:
    """Always saying what was the more frequent direction in training: what a directional accuracy has to beat."""
    asked_YWF, up = _moves(values, origin_W, horizon), goes_up(train, train_W, horizon)
    rises, falls = int((asked_YWF > 0).sum()), int((asked_YWF < 0).sum())
    hits = rises if up else falls
    return f"always {'up' if up else 'down'}", {"direction": hits / (rises + falls)} if rises + falls else {}


def goes_up(train: Floats, train_W: Tensor, horizon: int) -> bool:
    """Whether more steps ahead lay above the last known value in training than below."""
    moves_YWF = _moves(train, train_W, horizon)
    return bool((moves_YWF > 0).sum() >= (moves_YWF < 0).sum())


def _moves(values: Floats, origin_W: Tensor, horizon: int) -> Floats:
    origin = origin_W.numpy()
    moves = [values_N[origin[:, None] + np.arange(horizon)] - values_N[origin - 1][:, None]
             for values_N in _columns(values)]
    return np.stack(moves)


def baseline(values: Floats, truth: Floats, origin_W: Tensor, horizon: int, lags: tuple[int, ...], chosen: int,
             naive_error: float, further: dict[str, dict[str, float]] | None = None,
             horizons: tuple[int, ...] = (), *, squared: bool = False) -> Baseline:
    """Every candidate scored on these windows, the seasonal one at lag `chosen` being the baseline."""
    asked = {LAST_VALUE: None, **{seasonal_name(lag): lag for lag in lags}}
    candidates = {name: score(values, truth, origin_W, horizon, lag, naive_error, horizons, squared=squared)
                  for name, lag in asked.items()}
    name = seasonal_name(chosen)
    return Baseline(name=name, metrics=candidates[name], candidates=candidates | (further or {}))
