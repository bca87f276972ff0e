"""The sweep's end on a terminal."""

from __future__ import annotations

import dataclasses
import io
from typing import Any

from rich.console import Console

from gatesweep.report import TrialView
from gatesweep.report.terminal import summary, top_table


def printed(*parts: Any, width: int = 140) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(*parts)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_the_top_five_stand_in_order_with_the_dimensions_that_vary(a_sweep: Any) -> None:
    view = a_sweep(12)
    text = printed(top_table(view, n=5))
    places = [text.index(trial.label) for trial in view.ranking()[:5]]
    assert places == sorted(places)
    assert view.ranking()[5].label not in text
    assert "hidden_size" in text


def test_eighty_columns_are_enough_for_every_value_of_the_top_five(a_sweep: Any) -> None:
    view = a_sweep(12)
    text = printed(top_table(view), width=80)
    assert max(map(len, text.splitlines())) <= 80
    for trial in view.ranking()[:5]:
        line = next(line for line in text.splitlines() if trial.label in line)
        assert trial.params["model.cell"] in line
        assert f"{trial.best_value:.4g}" in line
        assert f"{trial.params['optimizer.lr']:.3g}" in line


def test_the_summary_holds_score_baseline_and_outcomes(a_sweep: Any) -> None:
    view = a_sweep(12)
    text = printed(summary(view))
    counts = view.outcomes()
    assert "+50.0%" in text
    assert "seasonal-naive-168" in text
    assert f"12 trials in 2 min 41 s: {counts['completed']} completed, {counts['pruned']} pruned" in text


def test_a_user_s_brackets_are_text_and_not_markup(a_sweep: Any) -> None:
    view = a_sweep(9)
    name = "[bold red]x[/]"
    trials = [dataclasses.replace(view.trials[0], params={"model.cell": name}), *view.trials[1:]]
    view = dataclasses.replace(view, trials=trials, notes=["see [link=file:///x]here[/link]"])
    text = printed(top_table(view, n=9), summary(view))
    assert name in text
    assert "[link=file:///x]here[/link]" in text


def test_a_sweep_without_a_completed_trial_has_a_summary(a_sweep: Any) -> None:
    view = a_sweep(trials=[TrialView("s/t0000", 0, "failed", reason="out of memory")])
    text = printed(top_table(view), summary(view))
    assert "No answer: no trial completed (1 failed)." in text
    assert "failed 1 ×: out of memory" in text
