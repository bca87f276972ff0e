"""Metrics and baselines against numbers computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from gatesweep.tasks.forecasting import baselines
from gatesweep.tasks.forecasting.metrics import error_sums, from_sums, naive_error_of

TRUTH = torch.tensor([[10.0, 20.0], [0.0, 40.0]])
FORECAST = torch.tensor([[12.0, 17.0], [1.0, 40.0]])
LAST = torch.tensor([11.0, 5.0])


def test_metrics_equal_the_numbers_computed_by_hand() -> None:
    found = from_sums(error_sums(FORECAST, TRUTH, LAST, loss=0.25), naive_error=3.0)
    assert found["mae"] == pytest.approx((2 + 3 + 1 + 0) / 4)
    assert found["rmse"] == pytest.approx(math.sqrt((4 + 9 + 1 + 0) / 4))
    assert found["mape"] == pytest.approx(100 * (2 / 10 + 3 / 20 + 0 / 40) / 3), "the step with truth 0 is left out"
    assert found["mase"] == pytest.approx(1.5 / 3)
    assert found["direction"] == pytest.approx(3 / 4), "10 after 11 was forecast as a rise"
    assert found["loss"] == 0.25


def test_sums_over_uneven_batches_give_the_metrics_of_the_whole() -> None:
    generator = torch.Generator().manual_seed(3)
    forecast, truth, last = (torch.rand(shape, generator=generator) + 1 for shape in ((10, 3), (10, 3), (10,)))
    whole = from_sums(error_sums(forecast, truth, last), 1.0)
    parts = [slice(0, 7), slice(7, 8), slice(8, 10)]
    sums = torch.stack([error_sums(forecast[part], truth[part], last[part]) for part in parts]).sum(dim=0)
    added = from_sums(sums, 1.0)
    assert added == pytest.approx(whole, rel=1e-12)
    means = np.mean([(forecast[part] - truth[part]).abs().mean() for part in parts])
    assert abs(means - whole["mae"]) > 1e-3, "the mean of the batches' means is another number"


def test_undefined_metrics_are_absent_rather_than_invented() -> None:
    zeros = torch.zeros(2, 2)
    found = from_sums(error_sums(zeros, zeros, torch.zeros(2)), math.nan)
    assert set(found) == {"loss", "mae", "rmse"}


def test_a_step_that_was_never_measured_is_not_scored() -> None:
    truth, forecast = torch.cat([TRUTH, torch.full((2, 1), math.nan)], 1), torch.cat([FORECAST, torch.ones(2, 1)], 1)
    measured = from_sums(error_sums(FORECAST, TRUTH, LAST, 0.25), 3.0)
    assert from_sums(error_sums(forecast, truth, LAST, 0.25), 3.0) == measured


def test_the_naive_error_in_sample_sees_train_alone_and_crosses_no_gap() -> None:
    values = np.array([1.0, 2.0, 4.0, 100.0, 101.0, 105.0, 9999.0])
    assert naive_error_of(values, [(0, 3), (3, 7)], stop=6, lag=1) == pytest.approx((1 + 2 + 1 + 4) / 4)
    assert math.isnan(naive_error_of(np.ones(5), [(0, 5)], stop=5, lag=1))


def test_baseline_forecasts_equal_those_written_by_hand() -> None:
    values, origin = np.arange(10.0) ** 2, np.array([4, 6])
    assert baselines.last_value(values, origin, 3).tolist() == [[9, 9, 9], [25, 25, 25]]
    assert baselines.seasonal_naive(values, origin, 3, lag=4).tolist() == [[0, 1, 4], [4, 9, 16]]


def test_a_horizon_beyond_the_lag_repeats_the_last_known_season() -> None:
    values, origin = np.arange(20.0), np.array([10])
    assert baselines.seasonal_naive(values, origin, 5, lag=2).tolist() == [[8, 9, 8, 9, 8]]


def test_the_better_seasonal_lag_on_train_is_the_baseline_even_where_another_is_better_on_test() -> None:
    values = np.concatenate([np.tile([0.0, 1.0, 5.0], 20), np.tile([0.0, 9.0], 20)])
    train, test = torch.arange(6, 55), torch.arange(70, 98)
    chosen = baselines.choose_lag(values, values, train, 2, (2, 3))
    found = baselines.baseline(values, values, test, 2, (2, 3), chosen, naive_error=2.0)
    assert (chosen, found.name) == (3, "seasonal naive, lag 3")
    assert found.candidates["seasonal naive, lag 2"]["mae"] == 0.0 < found.metrics["mae"]
    assert set(found.candidates) == {"last value", "seasonal naive, lag 2", "seasonal naive, lag 3"}
    assert "direction" not in found.candidates["last value"], "it calls no direction"


def test_the_majority_direction_is_that_of_train() -> None:
    falling, rising = np.arange(20.0)[::-1].copy(), np.arange(20.0)
    name, metrics = baselines.majority_direction(falling, torch.arange(1, 10), rising, torch.arange(1, 10), 2)
    assert (name, metrics) == ("always down", {"direction": 0.0})
