"""Quantiles and distributions against independent forms: scipy's densities, the integral of the CRPS."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from gatesweep.models.forecaster_config import ForecastModel
from gatesweep.models.instance_norm import Level
from gatesweep.tasks.forecasting.outputs import Output, pinball
from gatesweep.tasks.forecasting.probable import probable_metrics, probable_sums

LEVELS = (0.1, 0.5, 0.9)
RAW = torch.tensor([[[0.3, -0.4, 0.8], [-1.2, 1.5, -2.0]], [[2.0, 0.1, 0.2], [0.0, 0.0, 3.0]]], dtype=torch.float64)
TRUTH = torch.tensor([[0.1, 1.4], [1.2, -0.6]], dtype=torch.float64)


def output(kind: str, **values: Any) -> Output:
    return Output(ForecastModel(output=kind, **{"levels": LEVELS, **values}), "mse")


def frozen(kind: str, said: torch.Tensor) -> Any:
    center, width = said[..., 0].numpy(), said[..., 1].numpy()
    return stats.norm(center, width) if kind == "gaussian" else stats.t(said[..., 2].numpy(), center, width)


@pytest.mark.parametrize("kind", ["gaussian", "student_t"])
def test_the_loss_of_a_distribution_is_the_mean_negative_log_density_of_scipy(kind: str) -> None:
    out = output(kind)
    said = out.read(RAW, None, None)
    expected = -frozen(kind, said).logpdf(TRUTH.numpy()).mean()
    assert float(out.loss(said, TRUTH)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("kind", ["gaussian", "student_t"])
def test_the_crps_is_the_integral_of_the_squared_distance_of_distribution_functions(kind: str) -> None:
    out = output(kind)
    said = out.read(RAW, None, None)
    found = out.crps(said, TRUTH)
    for r in range(2):
        for f in range(2):
            one, y = frozen(kind, said[r, f]), float(TRUTH[r, f])
            below = integrate.quad(lambda x, one=one: one.cdf(x) ** 2, -np.inf, y)[0]
            above = integrate.quad(lambda x, one=one: one.sf(x) ** 2, y, np.inf)[0]
            assert float(found[r, f]) == pytest.approx(below + above, rel=1e-5)


@pytest.mark.parametrize("kind", ["gaussian", "student_t"])
def test_the_quantiles_of_a_distribution_are_those_of_scipy(kind: str) -> None:
    out = output(kind)
    said = out.read(RAW, None, None)
    for number, level in enumerate(LEVELS):
        np.testing.assert_allclose(out.quantiles(said)[..., number].numpy(), frozen(kind, said).ppf(level), rtol=1e-9)


def test_twice_the_mean_pinball_over_many_levels_is_the_crps() -> None:
    levels = tuple(((np.arange(2000) + 0.5) / 2000).tolist())
    quantiles = torch.tensor(stats.norm(0.3, 2.0).ppf(levels)).reshape(1, 1, -1)
    target = torch.tensor([[1.1]], dtype=torch.float64)
    said = torch.tensor([[[0.3, 2.0]]], dtype=torch.float64)
    exact = float(output("gaussian").crps(said, target))
    assert 2 * float(pinball(quantiles, target, levels)) == pytest.approx(exact, rel=1e-3)


def test_the_constant_with_the_least_pinball_loss_is_the_quantile_of_the_sample() -> None:
    sample = torch.from_numpy(np.random.default_rng(0).gamma(2.0, 1.0, 999))
    candidates = sample.sort().values
    for level in (0.1, 0.9):
        losses = [float(pinball(torch.full((len(sample), 1, 1), float(c)), sample[:, None], (level,)).mean())
                  for c in candidates]
        assert candidates[int(np.argmin(losses))] == pytest.approx(np.quantile(sample, level), abs=0.02)


def test_crossed_quantiles_are_put_in_order_and_the_median_is_the_point() -> None:
    out = output("quantiles")
    said = torch.tensor([[[3.0, 1.0, 2.0]]])
    assert out.quantiles(said).tolist() == [[[1.0, 2.0, 3.0]]]
    assert out.point(said).tolist() == [[2.0]]


@pytest.mark.parametrize("kind", ["quantiles", "gaussian", "student_t"])
def test_a_level_given_back_moves_and_stretches_the_whole_forecast(kind: str) -> None:
    out, level = output(kind), Level(torch.tensor([[5.0], [-1.0]]).double(), torch.tensor([[2.0], [3.0]]).double())
    plain, moved = (out.quantiles(out.read(RAW, each, None)) for each in (None, level))
    expected = plain * torch.tensor([2.0, 3.0])[:, None, None] + torch.tensor([5.0, -1.0])[:, None, None]
    torch.testing.assert_close(moved, expected)


@pytest.mark.parametrize("kind", ["point", "quantiles", "gaussian", "student_t"])
def test_what_was_not_measured_has_no_part_in_the_loss(kind: str) -> None:
    out = output(kind)
    said = out.read(RAW if kind != "point" else RAW[..., 0], None, None)
    measured = torch.tensor([[True, True], [False, True]])
    wrong = TRUTH.masked_fill(~measured, 1e6)
    expected = np.mean([float(out.loss(said[r : r + 1, f : f + 1], TRUTH[r : r + 1, f : f + 1]))
                        for r, f in ((0, 0), (0, 1), (1, 1))])
    assert float(out.loss(said, wrong, measured)) == pytest.approx(expected, rel=1e-9)


def test_scores_of_quantiles_equal_numbers_computed_by_hand() -> None:
    quantiles = torch.tensor([[[0.0, 1.0, 4.0], [0.0, 1.0, 4.0], [0.0, 1.0, 4.0]]])
    truth = torch.tensor([[2.0, 6.0, float("nan")]])
    found = probable_metrics(probable_sums(quantiles, torch.tensor([[1.0, 2.0, 9.0]]), truth, LEVELS))
    first = (0.1 * 2 + 0.5 * 1 + 0.1 * 2) / 3
    second = (0.1 * 6 + 0.5 * 5 + 0.9 * 2) / 3
    assert found["pinball"] == pytest.approx((first + second) / 2)
    assert (found["coverage"], found["width"], found["crps"]) == (0.5, 4.0, 1.5)
    assert probable_metrics(torch.zeros(5)) == {}
