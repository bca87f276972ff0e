"""Parallel coordinates: one axis per dimension and one for the objective, one line per trial (`assets/parallel.js`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gatesweep.report.axes import Axis
from gatesweep.report.figures import MOST_AXES, Figure, clip_note, level_ticks, objective_scale
from gatesweep.report.scales import Scale, span, ticks
from gatesweep.report.view import SweepView
from gatesweep.report.words import shortened


def parallel(view: SweepView, dimensions: Sequence[Axis], index: dict[str, int]) -> Figure | None:
    """One line per trial with a value, over all dimensions that vary and the objective; from the worst to the best.

    Args:
        dimensions: in the order in which they should stand, most important first.
        index: trial id -> row of the page's columns.
    """
    ranked = view.ranking()
    dimensions = [axis for axis in dimensions if axis.varies][:MOST_AXES]
    if len(ranked) < 2 or not dimensions:
        return None
    scale = objective_scale(view, ranked)
    drawn = [_dimension(axis) for axis in dimensions] + [_objective(view, scale)]
    by_value = sorted(ranked, key=lambda trial: trial.value or 0.0, reverse=view.mode == "min")
    best = view.best_trial
    rows = [index[trial.trial_id] for trial in by_value if trial is not best]
    rows += [index[best.trial_id]] if best in ranked else []
    return Figure("parallel", {"dimensions": drawn}, {"parallel": rows}, 420, clip_note(scale, ""))


def _dimension(axis: Axis) -> dict[str, Any]:
    column: dict[str, Any] = {"$column": axis.key, "rows": "parallel"}
    if axis.scale == "category":
        low, high, at, text = -0.12, len(axis.levels) - 0.88, *level_ticks(axis)
    else:
        log = axis.scale == "log"
        column["log"] = log
        low, high = span(axis.low, axis.high, log)
        at, text = ticks(axis.low, axis.high, log)
    if axis.gaps:
        column["missing"] = below = low - 0.14 * (high - low or 1.0)
        low, at, text = below, [below, *at], ["not used", *text]
    return {
        "key": axis.key,
        "label": shortened(axis.label, 18),
        "category": axis.scale == "category",
        "values": column,
        "range": [low, high],
        "tickvals": at,
        "ticktext": text,
    }


def _objective(view: SweepView, scale: Scale) -> dict[str, Any]:
    at, text = ticks(scale.low, scale.high, scale.log)
    low, high = span(scale.low, scale.high, scale.log)
    return {
        "key": view.metric,
        "label": shortened(view.metric, 18),
        "category": False,
        "range": [low, high],
        "tickvals": at,
        "ticktext": text,
        "values": {"$column": view.metric, "rows": "parallel", "log": scale.log, "clip": [low, high]},
    }
