"""A random walk is called one; moves that were known are called that."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from gatesweep.tasks.forecasting.predictability import statements

HORIZON, WINDOWS = 5, 600


def made(knows: float, seed: int = 1) -> tuple[pd.DataFrame, pd.Series]:
    """Forecasts of a random walk that know the share `knows` of what comes."""
    rng = np.random.default_rng(seed)
    values = pd.Series(100 + rng.normal(0.0, 1, WINDOWS + HORIZON).cumsum(),
                       pd.bdate_range("2000-01-03", periods=WINDOWS + HORIZON))
    rows = []
    for origin in range(WINDOWS):
        for step in range(1, HORIZON + 1):
            last, truth = values.iloc[origin], values.iloc[origin + step]
            forecast = last + knows * (truth - last) + (1 - knows) * rng.normal()
            rows.append((values.index[origin], step, truth, forecast))
    return pd.DataFrame(rows, columns=["origin", "step", "truth", "forecast"]), values


def test_a_random_walk_gives_no_evidence() -> None:
    table, values = made(0.0)
    direction, size = statements(table, values, up=True, mae=1.01, last_value_mae=1.0, target="AAPL")
    assert "no evidence that the direction can be predicted" in direction
    assert "1.0% above that of the last value: no evidence" in size


def test_moves_that_were_known_are_more_than_chance() -> None:
    table, values = made(0.6)
    direction, size = statements(table, values, up=True, mae=0.8, last_value_mae=1.0, target="AAPL")
    assert "more than chance explains" in direction
    assert size == "size: MAE 20.0% below that of the last value"


def test_only_forecasts_that_do_not_overlap_are_counted() -> None:
    table, values = made(0.3)
    direction, _ = statements(table, values, up=False, mae=1.0, last_value_mae=1.0, target="x")
    origins = values.index[:WINDOWS:HORIZON]
    ends = table[table["step"] == HORIZON].set_index("origin").loc[origins]
    last = values.loc[origins]
    right = int((np.sign(ends["truth"] - last) == np.sign(ends["forecast"] - last)).sum())
    falls = float((ends["truth"] < last).mean())
    p = stats.binomtest(right, WINDOWS // HORIZON, falls, alternative="greater").pvalue
    assert f"{right} of {WINDOWS // HORIZON} moves over 5 steps" in direction
    assert f"always down {falls:.1%}; p = {p:.2g}" in direction


@pytest.mark.parametrize("truth", [np.nan, 100.0])
def test_nothing_is_said_where_nothing_moved(truth: float) -> None:
    table = pd.DataFrame({"origin": [0, 1], "step": 1, "truth": truth, "forecast": 101.0})
    assert statements(table, pd.Series([100.0, 100.0]), up=True, mae=1, last_value_mae=1, target="x") == []
