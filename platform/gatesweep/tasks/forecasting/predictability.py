"""In plain words, whether forecasts of a wandering series tell anything: of the sign of its moves, and of their size.

Forecasts of overlapping horizons share most of their moves: only every F-th forecast counts, each by its move over the
whole horizon. Then, if nothing could be predicted, calls would be right as often as always saying the commoner
direction of train is; a binomial test (one-sided, 1%) says whether they are right more often than that.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

LEVEL = 0.01


def statements(table: pd.DataFrame, last_by_origin: pd.Series, *, up: bool, mae: float, last_value_mae: float,
               target: str) -> list[str]:
    """Two lines for the log: the sign, the size.

    Args:
        table: forecasts and truth, as `scored.table` gives them, of one series.
        last_by_origin: the last known value of each origin.
        up: whether the commoner direction in train was up.
        mae: of the model; `last_value_mae`: of the forecast that nothing changes.
    """
    horizon = int(table["step"].max())
    ends = table[table["step"] == horizon].sort_values("origin").iloc[::horizon]
    last = last_by_origin.loc[ends["origin"]].to_numpy()
    moves, calls = np.sign(ends["truth"].to_numpy() - last), np.sign(ends["forecast"].to_numpy() - last)
    counted = (moves != 0) & ~np.isnan(moves)
    count, right = int(counted.sum()), int((moves == calls)[counted].sum())
    if not count:
        return []
    usual = int((moves[counted] == (1 if up else -1)).sum())
    chance = min(max(usual / count, 1e-9), 1 - 1e-9)
    p = stats.binomtest(right, count, chance, alternative="greater").pvalue
    found = "more than chance explains" if p < LEVEL else "no evidence that the direction can be predicted"
    gain = 100 * (1 - mae / last_value_mae) if last_value_mae else 0.0
    size = (f"{gain:.1f}% below" if gain > 0 else f"{-gain:.1f}% above") + " that of the last value"
    return [f"direction of {target}: {right} of {count} moves over {horizon} steps, none overlapping, called right"
            f" ({right / count:.1%}); always {'up' if up else 'down'} {usual / count:.1%}; p = {p:.2g}: {found}",
            f"size: MAE {size}" + ("" if gain > 1 else ": no evidence that the moves can be predicted")]
