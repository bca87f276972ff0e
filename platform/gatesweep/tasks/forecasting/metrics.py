"""How far a forecast is off, from sums that add up exactly over batches of any size.

Letters: B windows, F steps of the horizon, y the truth, ŷ the forecast, x the last known value, in the series' units.
A step whose truth is NaN (cleaning filled it: it was never measured) is not scored; only `loss` sees it.

    MAE        mean |y - ŷ|
    RMSE       √ mean (y - ŷ)²
    MAPE       100 mean |y - ŷ| / |y| over the steps where y ≠ 0
    MASE       MAE / mean |y_t - y_(t-m)| over train: the naive error in sample, lag m (Hyndman & Koehler, 2006)
    direction  share of (ŷ - x)(y - x) > 0 over the steps where y ≠ x
    MSE        RMSE²: told of standardised values alone, as the ETT protocol has it
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from gatesweep.tasks.forecasting.units import Floats

SUMS = ("steps", "points", "absolute", "squared", "relative", "nonzero", "hits", "moves", "calls", "loss")
SHORTER = ("mae", "rmse", "mse")


def error_sums(forecast_BF: Tensor, truth_BF: Tensor, last_B: Tensor, loss: Tensor | float = 0.0) -> Tensor:
    """The sums of `SUMS` over these windows, in float64 where the device has it; `loss` is their mean loss."""
    wide = torch.float32 if forecast_BF.device.type == "mps" else torch.float64
    y_BF, guess_BF, x_B1 = truth_BF.to(wide), forecast_BF.to(wide), last_B.to(wide).unsqueeze(1)
    measured_BF = ~y_BF.isnan()
    y_BF = y_BF.where(measured_BF, guess_BF)
    error_BF, nonzero_BF = (y_BF - guess_BF).abs(), measured_BF & (y_BF != 0)
    move_BF, call_BF = (y_BF - x_B1).where(measured_BF, 0.0), (guess_BF - x_B1).where(measured_BF, 0.0)
    relative_BF = torch.where(nonzero_BF, error_BF / y_BF.abs().where(nonzero_BF, 1.0), 0.0)
    steps = float(y_BF.numel())
    parts = [measured_BF.sum(), error_BF.sum(), (error_BF**2).sum(), relative_BF.sum(), nonzero_BF.sum(),
             (move_BF * call_BF > 0).sum(), (move_BF != 0).sum(), (call_BF != 0).sum(),
             torch.as_tensor(loss, device=y_BF.device) * steps]
    return torch.stack([torch.full_like(error_BF[0, 0], steps), *(part.to(wide) for part in parts)])


def from_sums(sums: Tensor, naive_error: float) -> dict[str, float]:
    """The metrics; one that is not defined for these numbers is absent.

    Args:
        naive_error: MASE's denominator, see `naive_error_of`; NaN where it is not defined.
    """
    of = dict(zip(SUMS, sums.tolist(), strict=True))
    if not of["points"]:
        return {}
    found = {"loss": of["loss"] / of["steps"], "mae": of["absolute"] / of["points"],
             "rmse": math.sqrt(of["squared"] / of["points"])}
    if of["nonzero"]:
        found["mape"] = 100 * of["relative"] / of["nonzero"]
    if naive_error > 0:
        found["mase"] = found["mae"] / naive_error
    if of["moves"] and of["calls"]:
        found["direction"] = of["hits"] / of["moves"]
    return found


def naive_error_of(values_N: Floats, segments: Sequence[tuple[int, int]], stop: int, lag: int) -> float:
    """MASE's denominator: mean |y_t - y_(t-lag)| over the rows before `stop`, across no gap; NaN where it is zero."""
    errors = [np.abs(np.subtract(part[lag:], part[:-lag]))
              for start, end in segments if len(part := values_N[start : min(end, stop)]) > lag]
    error = float(np.concatenate(errors).mean()) if errors else 0.0
    return error if error > 0 else math.nan


def zero_sums(horizons: tuple[int, ...]) -> Tensor:
    """What `sums_of` adds to: a row of `SUMS` for the whole horizon, and one for each shorter one."""
    return torch.zeros(1 + len(horizons), len(SUMS), dtype=torch.float64)


def sums_of(forecast_BF: Tensor, truth_BF: Tensor, last_B: Tensor, horizons: tuple[int, ...],
            loss: Tensor | float = 0.0) -> Tensor:
    """`error_sums` over all steps, and over the first h of each of `horizons`."""
    whole = error_sums(forecast_BF, truth_BF, last_B, loss)
    return torch.stack([whole, *(error_sums(forecast_BF[:, :h], truth_BF[:, :h], last_B) for h in horizons)])


def metrics_of(sums: Tensor, naive_error: float, horizons: tuple[int, ...], *,
               squared: bool = False) -> dict[str, float]:
    """The metrics of `sums_of`; over the first h steps `mae_h6` and `rmse_h6`.

    Args:
        squared: of standardised values: MSE is told, and MAPE, a share of values around 0, is not.
    """
    found: dict[str, float] = {}
    for row, steps in zip(sums, (None, *horizons), strict=True):
        named = from_sums(row, naive_error)
        if squared and "rmse" in named:
            named["mse"] = named["rmse"] ** 2
            named.pop("mape", None)
        if steps is not None:
            named = {f"{name}_h{steps}": named[name] for name in SHORTER if name in named}
        found |= named
    return found
