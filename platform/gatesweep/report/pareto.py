"""The Pareto front of several objectives: every trial over the first two, the front as a line of steps."""

from __future__ import annotations

from typing import Any

from gatesweep.report.figures import Figure, label_text
from gatesweep.report.view import SweepView

_MOST_POINTS = 2000


def pareto(view: SweepView, index: dict[str, int]) -> Figure | None:
    """The trials over the first two objectives; None where there is one, or no front."""
    if len(view.goals) < 2 or not view.front:
        return None
    on_it, (first, second) = set(view.front), (metric for metric, _ in view.goals[:2])
    front = sorted(view.front_trials, key=lambda trial: trial.metrics[first])
    ranked = [trial for trial in view.ranking() if trial.trial_id not in on_it and second in trial.metrics]
    rows = {
        "dominated": [index[trial.trial_id] for trial in ranked[:_MOST_POINTS]],
        "front": [index[trial.trial_id] for trial in front],
    }
    data = [
        _points("dominated", first, second, {"symbol": "circle", "size": 6, "color": "var(--completed)"}),
        _points("front", first, second, {"symbol": "diamond", "size": 10, "color": "var(--best)"}),
    ]
    data[1] |= {"mode": "lines+markers", "line": {"shape": "linear", "width": 1, "color": "var(--best)", "dash": "dot"}}
    layout = {
        "xaxis": {"title": {"text": _words(view, 0)}, "zeroline": False},
        "yaxis": {"title": {"text": _words(view, 1)}, "zeroline": False},
        "legend": {"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom"},
    }
    more = f" {len(view.goals) - 2} further objectives are in the table." if len(view.goals) > 2 else ""
    left = len(ranked) - _MOST_POINTS
    caption = f"{len(front)} of {len(ranked) + len(front)} trials are on the front.{more}"
    return Figure("pareto", {"data": data, "layout": layout}, rows, 380,
                  caption + (f" {left:,} dominated trials are not drawn." if left > 0 else ""))  # fmt: skip


def _words(view: SweepView, place: int) -> str:
    metric, mode = view.goals[place]
    return label_text(f"{metric} ({mode})")


def _points(name: str, first: str, second: str, marker: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": {"$column": first, "rows": name},
        "y": {"$column": second, "rows": name},
        "text": {"$hover": name},
        "hovertemplate": "%{text}<extra></extra>",
        "marker": marker,
    }
