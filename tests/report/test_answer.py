"""The answer in words and the command that trains the best configuration again."""

from __future__ import annotations

import dataclasses
import shlex
from typing import Any

import pytest

from gatesweep.report import TrialView
from gatesweep.report.answer import again, answer, comparisons, failures, gain


@pytest.mark.parametrize(
    ("ours", "baseline", "mode", "expected"),
    [(8.0, 10.0, "min", 0.2), (12.0, 10.0, "min", -0.2), (12.0, 10.0, "max", 0.2), (-8.0, -10.0, "max", 0.2),
     (1.0, 0.0, "min", None), (float("nan"), 1.0, "min", None)],
)  # fmt: skip
def test_a_gain_is_a_share_of_the_baseline_and_positive_where_ours_is_better(
    ours: float, baseline: float, mode: Any, expected: float | None
) -> None:
    assert gain(ours, baseline, mode) == (None if expected is None else pytest.approx(expected))


def test_the_answer_gives_the_test_score_against_the_baseline(a_sweep: Any) -> None:
    assert "test/mae is 0.0125, 50.0% better than the baseline seasonal-naive-168 (0.025)." in answer(a_sweep())


def test_a_sweep_that_does_not_beat_the_baseline_says_so_plainly(a_sweep: Any) -> None:
    view = a_sweep(test={"test/mae": 0.03})
    assert "it does not beat the baseline seasonal-naive-168 (0.025), being 20.0% worse." in answer(view)


def test_only_the_objective_is_judged(a_sweep: Any) -> None:
    baseline = {"name": "b", "metrics": {"test/mae": 0.025, "test/r2": 0.5}}
    view = a_sweep(test={"test/mae": 0.0125, "test/r2": 0.9}, baseline=baseline)
    gains = {row.metric: row.gain for row in comparisons(view)}
    assert gains == {"val/mae": None, "test/mae": pytest.approx(0.5), "test/r2": None}


def test_in_mode_max_the_highest_value_leads_the_ranking_and_gains(a_sweep: Any) -> None:
    trials = [TrialView(f"s/t{n:04d}", n, "completed", {"optimizer.lr": 0.1 * n + 0.1}, {"val/acc": v}, v)
              for n, v in enumerate([0.5, 0.9, 0.7])]  # fmt: skip
    view = a_sweep(trials=trials, metric="val/acc", mode="max", best="s/t0001", test={"test/acc": 0.8},
                   baseline={"name": "majority", "metrics": {"test/acc": 0.4}})  # fmt: skip
    assert [trial.label for trial in view.ranking()] == ["t0001", "t0002", "t0000"]
    assert "test/acc is 0.8, 100% better than the baseline majority" in answer(view)


def test_the_best_epoch_counts_whatever_ended_the_trial_unless_it_failed(a_sweep: Any) -> None:
    trials = [
        TrialView("s/t0000", 0, "pruned", best_value=0.1),
        TrialView("s/t0001", 1, "completed", best_value=0.2),
        TrialView("s/t0002", 2, "completed", best_value=float("nan")),
        TrialView("s/t0003", 3, "failed", best_value=0.0),
    ]
    assert [trial.label for trial in a_sweep(trials=trials).ranking()] == ["t0000", "t0001"]


def test_the_command_that_trains_the_best_again_survives_a_shell(a_sweep: Any) -> None:
    view = dataclasses.replace(a_sweep(), experiment="my reports/$HOME; rm/best.yaml")
    assert shlex.split(again(view) or "") == ["gatesweep", "run", "my reports/$HOME; rm/best.yaml"]
    assert again(dataclasses.replace(view, experiment=None)) is None


def test_failures_that_differ_in_numbers_are_one_reason_and_a_traceback_is_named_by_its_end() -> None:
    trace = 'Traceback (most recent call last):\n  File "x.py", line 3\nRuntimeError: \x1b[31mout of memory\x1b[0m'
    reasons = ["loss is nan at epoch 3", "loss is nan at epoch 11", trace, None]
    trials = [TrialView(f"s/t{n:04d}", n, "failed", reason=reason) for n, reason in enumerate(reasons)]
    found = failures(_view(trials))
    assert [(failure.summary, len(failure.trials)) for failure in found] == [
        ("loss is nan at epoch 3", 2), ("RuntimeError: out of memory", 1), ("no reason was recorded", 1)]  # fmt: skip


def _view(trials: list[TrialView]) -> Any:
    from types import SimpleNamespace

    return SimpleNamespace(trials=trials)
