"""What the charts show: each dimension on its own scale, absent values apart, and no axis spoilt by one trial."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest

from gatesweep.report import TrialView
from gatesweep.report.axes import axes
from gatesweep.report.curves import learning_curves
from gatesweep.report.embed import columns
from gatesweep.report.parallel import parallel
from gatesweep.report.scales import robust, ticks
from gatesweep.report.scatter import scatter


def rows_of(view: Any) -> dict[str, int]:
    return {trial.trial_id: row for row, trial in enumerate(view.trials)}


def test_each_dimension_has_the_scale_of_its_spec(a_sweep: Any) -> None:
    found = {axis.key: axis for axis in axes(a_sweep(12))}
    assert found["model.hidden_size"].levels == ("32", "64", "128")
    assert (found["optimizer.lr"].scale, found["optimizer.lr"].low, found["optimizer.lr"].high) == ("log", 1e-4, 1e-1)
    assert found["model.dropout"].scale == "linear"
    assert found["optimizer.momentum"].gaps
    assert not found["model.dropout"].gaps


def test_a_spec_that_spells_out_its_empty_kinds_reads_the_same(a_sweep: Any) -> None:
    view = a_sweep(12)
    kinds = dict.fromkeys(("choice", "uniform", "log_uniform", "int_uniform", "log_int_uniform", "when"))
    spelt = {key: {**kinds, **spec} for key, spec in view.space.items()}
    assert axes(dataclasses.replace(view, space=spelt)) == axes(view)


def test_dimensions_that_end_alike_keep_their_whole_names(a_sweep: Any) -> None:
    view = a_sweep(2, space={"encoder.dropout": {"uniform": [0, 1]}, "decoder.dropout": {"uniform": [0, 1]}})
    assert {"encoder.dropout", "decoder.dropout", "cell", "optimizer.name"} <= {axis.label for axis in axes(view)}


def test_an_absent_value_stands_below_its_axis_and_is_labelled(a_sweep: Any) -> None:
    view = a_sweep(12)
    figure = parallel(view, axes(view), rows_of(view))
    assert figure is not None
    momentum = next(axis for axis in figure.spec["dimensions"] if axis["key"] == "optimizer.momentum")
    assert momentum["values"]["missing"] == momentum["range"][0] == momentum["tickvals"][0] < 0.0
    assert momentum["ticktext"][0] == "not used"


def test_a_log_dimension_has_its_ticks_at_decades(a_sweep: Any) -> None:
    view = a_sweep(12)
    figure = parallel(view, axes(view), rows_of(view))
    assert figure is not None
    lr = next(axis for axis in figure.spec["dimensions"] if axis["key"] == "optimizer.lr")
    assert lr["values"]["log"]
    assert lr["tickvals"] == pytest.approx([-4, -3, -2, -1])
    assert lr["ticktext"] == ["0.0001", "0.001", "0.01", "0.1"]


def test_parallel_lines_run_from_the_worst_to_the_best_and_leave_out_trials_without_a_value(a_sweep: Any) -> None:
    view = a_sweep(12)
    view = dataclasses.replace(view, trials=[TrialView("s/t9", 99, "failed", {"optimizer.lr": 0.1}), *view.trials])
    figure = parallel(view, axes(view), rows_of(view))
    assert figure is not None
    drawn = [view.trials[row] for row in figure.rows["parallel"]]
    assert len(drawn) == 12
    assert drawn[-1].trial_id == view.best
    assert [t.best_value for t in drawn[:-1]] == sorted((t.best_value for t in drawn[:-1]), reverse=True)


def test_one_diverged_trial_does_not_flatten_the_others() -> None:
    values = [0.01 + 0.0001 * n for n in range(40)]
    scale = robust([*values, 1e6], "min")
    assert scale.low == 0.01
    assert scale.high < 0.02
    assert scale.beyond >= 1
    assert robust([-value for value in [*values, 1e6]], "max").low > -0.02


def test_values_over_many_orders_lie_on_a_logarithmic_scale() -> None:
    assert robust([10.0**power for power in range(5)], "min").log
    assert not robust([1.0, 2.0, 3.0], "min").log


@pytest.mark.parametrize(("low", "high"), [(0.0, 0.5), (3.0, 3.7), (-2.0, 13.0), (1e-9, 5e-9), (0.0, 1e7)])
def test_ticks_are_round_and_within_the_range(low: float, high: float) -> None:
    places, words = ticks(low, high, log=False)
    assert 3 <= len(places) <= 8
    assert all(low - 1e-9 * abs(high) <= place <= high * (1 + 1e-9) for place in places)
    assert [float(word) for word in words] == pytest.approx(places, rel=5e-3, abs=1e-12)


def test_nan_and_infinity_reach_neither_curves_nor_columns(a_sweep: Any) -> None:
    bad = TrialView("s/t0", 0, "failed", {"optimizer.lr": 0.1}, {"val/mae": math.inf}, math.nan, 3,
                    [(1, 0.5), (2, math.inf), (3, math.nan)])  # fmt: skip
    view = dataclasses.replace(a_sweep(3), trials=[bad, *a_sweep(3).trials])
    figure = learning_curves(view, rows_of(view))
    assert figure is not None
    failed = next(line for line in figure.spec["data"] if line["name"].startswith("failed"))
    assert (failed["x"], failed["y"]) == ([1, None], [0.5, None])
    assert next(column for column in columns(view) if column["key"] == "val/mae")["values"][0] is None


def test_a_long_curve_keeps_its_ends_and_its_best_point(a_sweep: Any) -> None:
    history = [(epoch, 1.0 if epoch != 777 else 0.25) for epoch in range(1, 2001)]
    view = a_sweep(trials=[TrialView("s/t0", 0, "completed", {}, {}, 0.25, 2000, history)])
    figure = learning_curves(view, rows_of(view))
    assert figure is not None
    line = figure.spec["data"][0]
    assert len(line["x"]) <= 121
    assert {1, 777, 2000} <= set(line["x"])


def test_panels_of_a_large_sweep_draw_the_best_and_a_sample_and_say_so(a_sweep: Any) -> None:
    view = a_sweep(3000)
    figure = scatter(view, axes(view), rows_of(view))
    assert figure is not None
    assert sum(map(len, figure.rows.values())) == 1200
    assert "the best 300 and an even sample of 900 of the other 2,700 trials" in figure.caption
    assert rows_of(view)[view.best or ""] in figure.rows["best"]


def test_every_reference_of_a_chart_names_a_column_that_the_page_holds(a_sweep: Any) -> None:
    view = a_sweep(12)
    held = {column["key"] for column in columns(view)}
    figures = [parallel(view, axes(view), rows_of(view)), scatter(view, axes(view), rows_of(view))]
    references = [ref for figure in figures if figure for ref in _references(figure.spec)]
    assert references
    assert {ref["$column"] for ref in references} <= held


def _references(part: Any) -> list[dict[str, Any]]:
    if isinstance(part, dict):
        own = [part] if "$column" in part else []
        return own + [ref for value in part.values() for ref in _references(value)]
    return [ref for value in part for ref in _references(value)] if isinstance(part, list) else []
