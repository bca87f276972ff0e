"""Which columns know the future: a covariate that was filled in later, shifted by a row, or made out of the target.

    e_(t+k) = y_(t+k) less its best linear forecast from y_t … y_(t-P+1)    what of the future the past does not tell
    r_t     = c_t less its best linear fit by the same past; of a column known ahead r_(t+k), of c_(t+k)
    ρ(k)    = rank correlation of r_t and e_(t+k), k = 1 … K

A good covariate reaches some tenths. One that reaches `SUSPICIOUS` tells the target's own surprises before they happen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.float64]]

LAGS, LEADS, ROWS = 24, 24, 20_000
SUSPICIOUS = 0.8


@dataclass(frozen=True)
class Foresight:
    """What one column tells of the target's future that the target's past does not."""

    column: str
    known_ahead: bool
    steps: int
    """The k at which it tells most; of a column known ahead it stands in the row that it tells of."""

    correlation: float
    suspicious: bool


def foresight(values_N: Floats, columns: dict[str, Floats], known: Sequence[str],
              segments: Sequence[tuple[int, int]]) -> list[Foresight]:
    """Every column judged, on the latest `ROWS` rows; none where the series is too short.

    Args:
        values_N: the target.
        columns: covariates and columns known ahead, by name, `[N]` each.
        segments: `[start, stop)` of rows without a gap; none is crossed.
    """
    parts = [np.arange(start + LAGS - 1, stop - LEADS) for start, stop in segments if stop - start >= LAGS + LEADS]
    if not columns or not parts:
        return []
    rows_R = np.concatenate(parts)[-ROWS:]
    if len(rows_R) < 4 * LAGS:
        return []
    past_RP = values_N[rows_R[:, None] - np.arange(LAGS)]
    basis_RP, _ = np.linalg.qr(np.column_stack([np.ones(len(rows_R)), past_RP]))
    ahead_RK = values_N[rows_R[:, None] + np.arange(1, LEADS + 1)]
    surprise_RK = _ranks(_without(basis_RP, ahead_RK))
    found = []
    for name, column_N in columns.items():
        if name in known:
            told_RK = _ranks(_without(basis_RP, column_N[rows_R[:, None] + np.arange(1, LEADS + 1)]))
        else:
            told_RK = _ranks(_without(basis_RP, column_N[rows_R][:, None]))
        told_K = np.abs((told_RK * surprise_RK).mean(axis=0))
        best = int(told_K.argmax())
        found.append(Foresight(name, name in known, best + 1, round(float(told_K[best]), 4),
                               bool(told_K[best] >= SUSPICIOUS)))
    return found


def _without(basis_RP: Floats, columns_RK: Floats) -> Floats:
    """What the past does not explain; exactly nothing where only rounding is left."""
    rest_RK: Floats = columns_RK - basis_RP @ (basis_RP.T @ columns_RK)
    nothing_K = rest_RK.std(axis=0) <= 1e-9 * np.maximum(columns_RK.std(axis=0), np.abs(columns_RK).max(axis=0))
    return np.where(nothing_K, 0.0, rest_RK)


def _ranks(columns_RK: Floats) -> Floats:
    """Standardised ranks, equal values sharing the mean of theirs; of a constant column zeros."""
    ranks_RK = np.empty_like(columns_RK)
    for k, column_R in enumerate(columns_RK.T):
        _, inverse, counts = np.unique(column_R, return_inverse=True, return_counts=True)
        ends = np.cumsum(counts)
        ranks_RK[:, k] = (ends - (counts - 1) / 2)[inverse]
    centered_RK = ranks_RK - ranks_RK.mean(axis=0)
    spread_K = centered_RK.std(axis=0)
    scaled_RK: Floats = centered_RK / np.where(spread_K > 0, spread_K, 1.0)
    return scaled_RK
