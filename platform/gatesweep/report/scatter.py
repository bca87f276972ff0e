"""The objective over one dimension at a time: small panels that share the vertical axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gatesweep.report.axes import Axis
from gatesweep.report.figures import Figure, clip_note, label_text, level_ticks, objective_scale, thinned
from gatesweep.report.scales import Scale, span, ticks
from gatesweep.report.view import SweepView, TrialView

_MOST_PANELS, _PANEL_COLUMNS = 6, 3
_BEST_POINTS, _OTHER_POINTS = 300, 900


def scatter(view: SweepView, dimensions: Sequence[Axis], index: dict[str, int]) -> Figure | None:
    """The objective over each of the first few dimensions, in panels that share the vertical axis."""
    ranked = view.ranking()
    dimensions = [axis for axis in dimensions if axis.varies][:_MOST_PANELS]
    if len(ranked) < 2 or not dimensions:
        return None
    shown_trials = thinned(ranked, _BEST_POINTS, _OTHER_POINTS)
    rows = _point_rows(view, shown_trials, index)
    scale = objective_scale(view, ranked)
    columns = min(_PANEL_COLUMNS, len(dimensions))
    lines = -(-len(dimensions) // columns)
    layout: dict[str, Any] = {
        "legend": {"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom"},
        "margin": {"t": 36},
    }
    data: list[dict[str, Any]] = []
    for place, axis in enumerate(dimensions):
        suffix = str(place + 1) if place else ""
        layout |= _panel(axis, place, columns, lines, view, scale)
        data += [_points(view, axis, name, suffix, scale) for name in rows if rows[name]]
    caption = (
        ""
        if len(shown_trials) == len(ranked)
        else (
            f"Drawn: the best {_BEST_POINTS} and an even sample of {len(shown_trials) - _BEST_POINTS} of the other "
            f"{len(ranked) - _BEST_POINTS:,} trials with a value."
        )
    )
    return Figure("scatter", {"data": data, "layout": layout}, rows, 90 + 230 * lines, clip_note(scale, caption))


def _point_rows(view: SweepView, drawn: Sequence[TrialView], index: dict[str, int]) -> dict[str, list[int]]:
    best = view.best_trial
    return {
        "pruned": [index[trial.trial_id] for trial in drawn if trial.outcome != "completed" and trial is not best],
        "completed": [index[trial.trial_id] for trial in drawn if trial.outcome == "completed" and trial is not best],
        "best": [index[trial.trial_id] for trial in drawn if trial is best],
    }


_POINT_STYLES: dict[str, dict[str, Any]] = {
    "pruned": {"name": "not completed", "marker": {"symbol": "circle-open", "size": 6, "color": "var(--pruned)"}},
    "completed": {"name": "completed", "marker": {"size": 6, "opacity": 0.75, "color": "var(--completed)"}},
    "best": {
        "name": "best",
        "marker": {"symbol": "star", "size": 14, "color": "var(--best)", "line": {"width": 1, "color": "var(--page)"}},
    },
}


def _points(view: SweepView, axis: Axis, name: str, suffix: str, scale: Scale) -> dict[str, Any]:
    x: dict[str, Any] = {"$column": axis.key, "rows": name}
    if axis.scale == "category" and name != "best":
        x["jitter"] = 0.16
    return {
        "type": "scatter",
        "mode": "markers",
        "x": x,
        "y": {"$column": view.metric, "rows": name, "clip": [scale.low, scale.high]},
        "xaxis": f"x{suffix}",
        "yaxis": f"y{suffix}",
        "showlegend": not suffix,
        "legendgroup": name,
        "text": {"$hover": name},
        "hovertemplate": "%{text}<extra></extra>",
        **_POINT_STYLES[name],
    }


def _panel(axis: Axis, place: int, columns: int, lines: int, view: SweepView, scale: Scale) -> dict[str, Any]:
    line, column = divmod(place, columns)
    suffix = str(place + 1) if place else ""
    gap_x, gap_y = 0.035, 0.2 / lines
    width, height = (1 - gap_x * (columns - 1)) / columns, (1 - gap_y * (lines - 1)) / lines
    left, top = column * (width + gap_x), 1 - line * (height + gap_y)
    x: dict[str, Any] = {
        "domain": [left, left + width],
        "anchor": f"y{suffix}",
        "title": {"text": label_text(axis.label), "standoff": 6},
        "showgrid": axis.scale != "category",
        "zeroline": False,
    }
    if axis.scale == "category":
        at, text = level_ticks(axis, 8)
        x |= {"tickvals": at, "ticktext": [label_text(word) for word in text], "range": [-0.5, len(axis.levels) - 0.5]}
    else:
        at, text = ticks(axis.low, axis.high, axis.scale == "log")
        low, high = span(axis.low, axis.high, axis.scale == "log")
        x |= {
            "type": axis.scale,
            "range": [low - 0.04 * (high - low), high + 0.04 * (high - low)],
            "ticktext": text,
            "tickvals": [10**place for place in at] if axis.scale == "log" else at,
        }
    y = {
        "domain": [top - height, top],
        "anchor": f"x{suffix}",
        "zeroline": False,
        "showticklabels": column == 0,
        **scale.axis(),
    } | ({"title": {"text": label_text(view.metric)}} if column == 0 else {})
    return {f"xaxis{suffix}": x, f"yaxis{suffix}": y | ({"matches": "y"} if suffix else {})}
