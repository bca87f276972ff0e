"""Columns that know the future are found, those that only help are not; drift between splits is measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from typer.testing import CliRunner

from gatesweep.cli.data import app
from gatesweep.data.drift import drift
from gatesweep.data.quality import quality_of
from gatesweep.data.readers import Series, read_csv

ROWS = 1200


def walk(seed: int = 0) -> np.ndarray:
    """A price: a random walk of returns."""
    return 100 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.01, ROWS)))


def load(seed: int = 0) -> np.ndarray:
    """A daily wave that remembers its noise."""
    noise, values = np.random.default_rng(seed).normal(0, 1, ROWS), np.zeros(ROWS)
    for t in range(1, ROWS):
        values[t] = 0.8 * values[t - 1] + noise[t]
    return values + 10 * np.sin(2 * np.pi * np.arange(ROWS) / 24)


def series_of(folder: Path, target: np.ndarray, known: tuple[str, ...] = (), **columns: np.ndarray) -> Series:
    stamps = pd.date_range("2024-01-01", periods=ROWS, freq="1h")
    pd.DataFrame({"time": stamps, "y": target, **columns}).to_csv(folder / "own.csv", index=False)
    return read_csv(folder / "own.csv", target="y", past=[name for name in columns if name not in known], known=known)


@pytest.mark.parametrize("make", [walk, load])
@pytest.mark.parametrize("steps", [1, 5])
def test_a_planted_leak_is_found_and_an_honest_column_is_not(tmp_path: Path, make, steps: int) -> None:
    y = make()
    noise = np.random.default_rng(7).normal(0, 0.1 * np.diff(y).std(), ROWS)
    leak = np.append(y[steps:], y[-steps:]) + noise
    honest = np.append(y[:steps], y[:-steps]) + noise
    found = {each.column: each for each in quality_of(series_of(tmp_path, y, leak=leak, honest=honest)).foresight}
    assert found["leak"].suspicious
    assert found["leak"].steps == steps
    assert not found["honest"].suspicious


def test_tomorrows_return_beside_todays_price_is_a_leak(tmp_path: Path) -> None:
    y = walk()
    returns = np.append(0, np.diff(np.log(y)))
    found = quality_of(series_of(tmp_path, y, ahead=np.append(returns[1:], 0), today=returns)).foresight
    assert [(each.column, each.suspicious) for each in found] == [("ahead", True), ("today", False)]


def test_a_column_known_ahead_that_is_the_target_is_a_leak_and_a_useful_one_is_not(tmp_path: Path) -> None:
    y, flag = load(), (np.arange(ROWS) % 50 == 0).astype(float)
    y = y + 2 * flag
    found = quality_of(series_of(tmp_path, y, ("copy", "flag"), copy=3 * y + 1, flag=flag)).foresight
    assert {each.column: each.suspicious for each in found} == {"copy": True, "flag": False}


def test_the_distance_of_distributions_is_that_of_scipy() -> None:
    rng = np.random.default_rng(3)
    train, later = rng.normal(0, 1, 500), rng.normal(1.5, 2, 300)
    found = drift("y", "test", train, later)
    assert found is not None
    assert found.ks == pytest.approx(stats.ks_2samp(train, later).statistic, abs=1e-4)
    assert found.shift == pytest.approx((later.mean() - train.mean()) / train.std(), abs=1e-4)
    assert found.shifted
    assert drift("y", "test", np.ones(5), later) is None


def test_the_command_line_judges_a_csv_of_ones_own(tmp_path: Path) -> None:
    y = walk()
    series_of(tmp_path, y, leak=np.append(y[1:], y[-1]))
    said = CliRunner().invoke(app, ["quality", str(tmp_path / "own.csv"), "--series", "y"], env={"COLUMNS": "200"})
    assert said.exit_code == 0, said.output
    assert "IT KNOWS THE FUTURE" in said.output
    assert "drift of y, test" in said.output
