"""Learning curves: the objective over the epochs, one line per trial, as a Plotly specification."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from gatesweep.report.figures import Figure, label_text, thinned
from gatesweep.report.scales import Scale, robust
from gatesweep.report.view import SweepView, TrialView
from gatesweep.report.words import number

_BEST_CURVES, _OTHER_CURVES, _MOST_POINTS, _CROWD = 200, 100, 120, 60

# pruned and failed lines differ from the others by their dashes too, not by colour alone
_STYLES: dict[str, dict[str, Any]] = {
    "pruned": {"name": "pruned", "line": {"width": 1, "color": "var(--pruned)", "dash": "dot"}},
    "ended": {"name": "failed, stopped or running", "line": {"width": 1.2, "color": "var(--failed)", "dash": "dash"}},
    "completed": {"name": "completed", "line": {"width": 1.3, "color": "var(--completed)"}, "opacity": 0.6},
    "best": {"name": "best", "line": {"width": 3.5, "color": "var(--best)"}},
}


def learning_curves(view: SweepView, index: dict[str, int]) -> Figure | None:
    """All curves of a small sweep; of a large one the best 200 and an even sample of 100 others."""
    candidates = [trial for trial in _ordered(view) if _finite(trial)]
    if not candidates:
        return None
    drawn = thinned(candidates, _BEST_CURVES, _OTHER_CURVES)
    groups: dict[str, list[TrialView]] = {name: [] for name in _STYLES}
    for trial in drawn:
        groups[_group(view, trial)].append(trial)
    scale = robust([value for trial in drawn for _, value in _finite(trial)], view.mode)
    data = [_joined(name, trials, index) for name, trials in groups.items() if trials]
    scale = _with_baseline(view, scale, data, max(epoch for trial in drawn for epoch, _ in _finite(trial)))
    layout = {
        "xaxis": {"title": {"text": "epoch"}, "zeroline": False},
        "yaxis": {"title": {"text": label_text(view.metric)}, "zeroline": False, **scale.axis()},
        "legend": {"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom"},
        "margin": {"t": 36},
        "hovermode": "closest",
    }
    return Figure("curves", {"data": data, "layout": layout}, height_px=440, caption=_caption(candidates, drawn, scale))


def _ordered(view: SweepView) -> list[TrialView]:
    ranked = view.ranking()
    seen = {trial.trial_id for trial in ranked}
    best = view.best_trial
    first = [best] if best is not None else []
    return first + [
        trial for trial in [*ranked, *(t for t in view.trials if t.trial_id not in seen)] if trial is not best
    ]


def _group(view: SweepView, trial: TrialView) -> str:
    if trial.trial_id == view.best:
        return "best"
    return str(trial.outcome) if trial.outcome in ("completed", "pruned") else "ended"


def _joined(name: str, trials: Sequence[TrialView], index: dict[str, int]) -> dict[str, Any]:
    """Many curves as one line with breaks: a browser draws three lines faster than three hundred."""
    x: list[int | None] = []
    y: list[float | None] = []
    rows: list[int] = []
    for trial in trials:
        points = _decimated(_finite(trial))
        x += [epoch for epoch, _ in points] + [None]
        y += [float(f"{value:.6g}") for _, value in points] + [None]
        rows += [index[trial.trial_id]] * (len(points) + 1)
    short = all(len(trial.history) <= 1 for trial in trials)
    return {
        "type": "scatter",
        "mode": "lines+markers" if short or name == "best" else "lines",
        "x": x,
        "y": y,
        "marker": {"size": 5},
        "text": {"$hover_rows": rows},
        "hovertemplate": "epoch %{x}: %{y:.5g}<br>%{text}<extra></extra>",
        **_STYLES[name],
        **({"opacity": 0.25} if name != "best" and len(trials) > _CROWD else {}),
    }


def _finite(trial: TrialView) -> list[tuple[int, float]]:
    return [(epoch, value) for epoch, value in trial.history if value is not None and math.isfinite(value)]


def _decimated(points: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """At most 120 points, at even distances, and always the first, the last and both extremes."""
    if len(points) <= _MOST_POINTS:
        return points
    kept = {round(place * (len(points) - 1) / (_MOST_POINTS - 3)) for place in range(_MOST_POINTS - 2)}
    values = [value for _, value in points]
    kept |= {values.index(min(values)), values.index(max(values))}
    return [points[place] for place in sorted(kept)]


def _with_baseline(view: SweepView, scale: Scale, data: list[dict[str, Any]], last_epoch: int) -> Scale:
    """A horizontal line at the baseline, the axis reaching out to it unless it lies far away."""
    level = view.baseline["metrics"].get(view.metric) if view.baseline else None
    if level is None or not math.isfinite(level) or (scale.log and level <= 0):
        return scale
    width = scale.high - scale.low or abs(scale.high) or 1.0
    if not scale.low - 1.5 * width <= level <= scale.high + 1.5 * width:
        return scale
    name = view.baseline["name"] if view.baseline else ""
    data.append(
        {
            "type": "scatter",
            "mode": "lines",
            "x": [0, last_epoch],
            "y": [level, level],
            "name": f"baseline: {label_text(name)}",
            "line": {"width": 1.5, "color": "var(--ink)", "dash": "longdash"},
            "hovertemplate": "%{y:.5g}<extra>baseline</extra>",
        }
    )
    return Scale(min(scale.low, level), max(scale.high, level), scale.log, scale.beyond, scale.edge)


def _caption(candidates: Sequence[TrialView], drawn: Sequence[TrialView], scale: Scale) -> str:
    some = (
        ""
        if len(drawn) == len(candidates)
        else (
            f"Drawn: the best {_BEST_CURVES} and an even sample of {len(drawn) - _BEST_CURVES} of the other "
            f"{len(candidates) - _BEST_CURVES:,} trials."
        )
    )
    cut = f"Points past {number(scale.edge)} lie outside the axis; a double click shows them." if scale.beyond else ""
    return " ".join(part for part in (some, cut) if part)
