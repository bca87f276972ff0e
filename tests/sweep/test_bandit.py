"""The Gaussian process of pb2 against others' code, and what it chooses."""

import numpy as np
import pytest
from fakes import make_spec

from gatesweep.sweep.bandit import Bandit, at, unit
from gatesweep.sweep.mutable import mutable
from gatesweep.sweep.population import Perturbation
from gatesweep.sweep.time_varying import Process, cost, fitted, kernel
from gatesweep.sweep.trial import Trial

THETA = np.log([1.3, 0.7, 0.2, 0.05])
LR = {"optimizer.lr": {"log_uniform": [1e-4, 1e-1]}}


def _data(n=12, d=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.random((n, d)), np.sort(rng.integers(0, 5, n)).astype(float), rng.normal(size=n)


def test_the_kernel_is_that_of_ray_tunes_pb2():
    from ray.tune.schedulers.pb2_utils import TV_SquaredExp

    (x, t, _), (z, s, _) = _data(), _data(5, seed=1)
    theirs = TV_SquaredExp(variance=1.3, lengthscale=0.7, epsilon=0.2)
    assert kernel(x, z, t, s, THETA) == pytest.approx(theirs(np.column_stack([t, x]), np.column_stack([s, z])))


def test_mean_spread_and_likelihood_are_those_of_scikit_learn():
    from ray.tune.schedulers.pb2_utils import TV_SquaredExp
    from sklearn.gaussian_process import GaussianProcessRegressor

    (x, t, g), (z, _, _) = _data(), _data(5, seed=1)
    theirs = GaussianProcessRegressor(TV_SquaredExp(1.3, 0.7, 0.2), alpha=0.05, optimizer=None)
    theirs.fit(np.column_stack([t, x]), g)
    mean, spread = theirs.predict(np.column_stack([np.full(5, 6.0), z]), return_std=True)
    ours = Process(x, t, THETA)
    assert ours.mean(g, z, 6.0) == pytest.approx(mean)
    # theirs takes the diagonal of the prior, 1.3, as we do
    assert ours.spread(z, 6.0) == pytest.approx(spread)
    constant = len(g) / 2 * np.log(2 * np.pi)
    assert cost(THETA, x, t, g) + constant == pytest.approx(-theirs.log_marginal_likelihood_value_)


def test_the_fit_is_more_likely_than_others_and_the_same_every_time():
    x, t, _ = _data(30, 2)
    g = np.sin(3 * x[:, 0]) + 0.1 * t
    found = fitted(x, t, g)
    assert np.array_equal(found.theta, fitted(x, t, g).theta)
    rng = np.random.default_rng(1)
    others = [found.theta + rng.normal(scale=0.3, size=4) for _ in range(50)]
    inside = [each for each in others if each[2] <= np.log(0.5) and each[3] >= np.log(1e-4)]
    assert min(cost(each, x, t, g) for each in inside) >= cost(found.theta, x, t, g) - 1e-6


def _bandit(values, best_lr, epoch=6, mode="min"):
    """Trials whose objective gains the more, the nearer their rate is to the best one."""
    spec = make_spec(space=LR, scheduler={"name": "pb2"}, search={"name": "random", "seed": 1},
                     objective={"metric": "val/mae", "mode": mode}, budget={"trials": len(values)})  # fmt: skip
    trials = []
    for number, lr in enumerate(values):
        trial = Trial(f"t{number:04d}", number, {"optimizer.lr": lr})
        gain = 0.1 * np.exp(-abs(np.log10(lr / best_lr)))
        sign = 1 if mode == "max" else -1
        trial.metrics = {e: {"val/mae": 1.0 + sign * gain * e} for e in range(1, epoch + 1)}
        trials.append(trial)
    return Bandit(spec, Perturbation(spec, mutable(spec)), trials, trials[:-2], epoch), trials


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("best_lr", [5e-4, 2e-2])
def test_the_rate_that_gained_most_is_looked_for(best_lr, mode):
    rates = list(np.logspace(-4, -1, 12))
    bandit, trials = _bandit(rates, best_lr, mode=mode)
    chosen = [bandit(trials[0], np.random.default_rng(seed))["optimizer.lr"] for seed in range(2)]
    for lr in chosen:
        assert abs(np.log10(lr / best_lr)) < 1.0
    again, _ = _bandit(rates, best_lr, mode=mode)
    assert [again(trials[0], np.random.default_rng(seed))["optimizer.lr"] for seed in range(2)] == chosen


def test_a_batch_spreads_where_nothing_is_known():
    bandit, trials = _bandit([3e-3] * 4, 3e-3)
    chosen = [bandit(trials[0], np.random.default_rng(seed))["optimizer.lr"] for seed in range(2)]
    assert abs(np.log10(chosen[0] / chosen[1])) > 1.5  # of the three decades
    assert all(abs(np.log10(lr / 3e-3)) > 0.5 for lr in chosen)


def test_without_two_stretches_values_change_as_in_pbt():
    bandit, trials = _bandit([1e-3, 1e-2], 1e-2, epoch=2)
    bandit.trials[1].metrics.pop(2)
    bandit.staying = trials[:1]
    params = bandit(trials[0], np.random.default_rng(3))
    by_chance = bandit.by_chance(trials[0], np.random.default_rng(3))
    assert params == by_chance


def test_a_copied_trials_stretch_begins_where_its_donor_was():
    bandit, trials = _bandit([1e-3, 1e-2, 3e-2], 1e-2, epoch=4)
    bandit.staying = trials[:1]
    trials[2].checkpoint = "x"
    trials[1].checkpoint = "y"
    change = {"checkpoint": "y", "params": {"optimizer.lr": 0.05}, "seed": 1}
    trials[2].copy(trials[1], change, 2)
    rows = list(bandit._stretches())
    ((_, _, y, g),) = [row for row in rows if row[1] == 1.0 and row[0] == [pytest.approx(unit_of(0.05))]]
    before, after = trials[1].metrics[2]["val/mae"], trials[2].metrics[4]["val/mae"]
    assert (y, g) == (before, pytest.approx((before - after) / 2))


def unit_of(lr):
    return unit(make_spec(space=LR).space["optimizer.lr"], lr)


@pytest.mark.parametrize(("kind", "low", "high", "middle"), [
    ("uniform", 0.0, 0.5, 0.25), ("log_uniform", 1e-4, 1e-2, 1e-3), ("int_uniform", 2, 10, 6),
    ("log_int_uniform", 4, 64, 16),
])  # fmt: skip
def test_a_place_in_a_range_is_its_value_and_back(kind, low, high, middle):
    from gatesweep.config.dimension import Dimension

    dimension = Dimension(**{kind: (low, high)})
    assert [at(dimension, place) for place in (0.0, 0.5, 1.0)] == [low, pytest.approx(middle), high]
    assert unit(dimension, middle) == pytest.approx(0.5)
