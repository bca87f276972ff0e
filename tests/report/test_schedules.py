"""Values that changed on the way: the chart of them, and how the best trial's weights came about."""

from __future__ import annotations

import dataclasses
from typing import Any

from gatesweep.report.axes import axes
from gatesweep.report.page import render
from gatesweep.report.schedules import line_table, schedules


def copying(a_sweep: Any) -> Any:
    """Every trial began by itself; the best one copied t0003, with half its rate, after epoch 2."""
    view = a_sweep(6)
    lines = {trial.trial_id: ((0, trial.label, trial.params),) for trial in view.trials}
    donor = view.trials[3].params
    lines[view.best] = ((0, "t0003", donor), (2, view.best_trial.label,
                                              {**donor, "optimizer.lr": donor["optimizer.lr"] / 2}))
    trials = [dataclasses.replace(trial, line=lines[trial.trial_id]) for trial in view.trials]
    return dataclasses.replace(view, trials=trials)


def test_each_value_that_changed_is_a_line_of_steps_per_trial(a_sweep: Any) -> None:
    view = copying(a_sweep)
    figure = schedules(view, axes(view), {trial.trial_id: row for row, trial in enumerate(view.trials)})
    assert figure is not None
    others, best = figure.spec["data"]  # one panel: nothing but the rate changed
    rate = float(f"{view.trials[3].params['optimizer.lr']:.6g}")
    half = float(f"{view.trials[3].params['optimizer.lr'] / 2:.6g}")
    assert (best["x"], best["y"]) == ([0, 2, 5, None], [rate, half, half, None])
    assert others["x"] == [0, 5, None] * 5
    assert figure.spec["layout"]["yaxis"]["type"] == "log"


def test_the_page_says_how_the_best_weights_came_about(a_sweep: Any) -> None:
    view = copying(a_sweep)
    page = render(view)
    assert "Values on the way" in page
    table = line_table(view)
    assert table in page
    rows = table.split("<tr>")[2:]
    assert [row.split("</td>")[:2] for row in rows] == [
        ['<td class="n">1', "<td>t0003"], ['<td class="n">3', f"<td>{view.best_trial.label}"]]


def test_a_sweep_whose_trials_do_not_copy_says_nothing_of_it(a_sweep: Any) -> None:
    page = render(a_sweep(6))
    assert "Values on the way" not in page
    assert "came about" not in page
