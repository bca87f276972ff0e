"""Which dimension decided: a planted one is found, and too little evidence is called so."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from gatesweep.report.importance import importance


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("seed", range(3))
def test_a_planted_dimension_comes_first(a_sweep: Any, mode: str, seed: int) -> None:
    view = a_sweep(60, seed=seed)
    if mode == "max":
        trials = [dataclasses.replace(trial, best_value=-(trial.best_value or 0.0)) for trial in view.trials]
        view = dataclasses.replace(view, trials=trials, mode="max")
    found = importance(view)
    assert next(iter(found.shares)) == "optimizer.lr"
    assert found.shares["optimizer.lr"] > 0.6
    assert sum(found.shares.values()) == pytest.approx(1.0)


def test_a_planted_condition_dimension_is_found_among_the_trials_that_have_it(a_sweep: Any) -> None:
    view = a_sweep(200, seed=3)
    trials = [
        dataclasses.replace(trial, best_value=abs(trial.params["optimizer.momentum"] - 0.9)
                            if "optimizer.momentum" in trial.params else 0.5 + 0.001 * trial.number)
        for trial in view.trials
    ]  # fmt: skip
    shares = importance(dataclasses.replace(view, trials=trials)).shares
    assert next(iter(shares)) == "optimizer.momentum"


def test_one_diverged_trial_moves_no_share(a_sweep: Any) -> None:
    view = a_sweep(40)
    worst = max(view.trials, key=lambda trial: trial.best_value)
    trials = [dataclasses.replace(t, best_value=1e30) if t is worst else t for t in view.trials]
    assert importance(dataclasses.replace(view, trials=trials)).shares == importance(view).shares


def test_failed_and_stopped_trials_do_not_count(a_sweep: Any) -> None:
    view = a_sweep(10)
    trials = [dataclasses.replace(t, outcome="stopped" if t.number < 3 else t.outcome) for t in view.trials]
    found = importance(dataclasses.replace(view, trials=trials))
    assert found.shares == {}
    assert found.reason is not None
    assert "7 have a value" in found.reason


def test_equal_values_are_called_equal(a_sweep: Any) -> None:
    view = a_sweep(12)
    trials = [dataclasses.replace(trial, best_value=0.5) for trial in view.trials]
    assert (
        importance(dataclasses.replace(view, trials=trials)).reason
        == "Every trial reached the same val/mae: nothing mattered."
    )


def test_a_space_in_which_nothing_varied_is_called_so(a_sweep: Any) -> None:
    view = a_sweep(12)
    trials = [dataclasses.replace(trial, params={"model.cell": "vanilla"}) for trial in view.trials]
    found = importance(dataclasses.replace(view, trials=trials, space={"model.cell": {"choice": ["vanilla"]}}))
    assert found.reason == "No dimension varied, so there is nothing to compare."
