"""Values that changed while trials trained and copied each other: the lines behind the trials' weights.

A line holds, for each epoch, the value that the weights were trained with, whichever trial trained them then.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from gatesweep.report.axes import Axis, is_number
from gatesweep.report.figures import Figure, label_text, thinned
from gatesweep.report.sections import section
from gatesweep.report.view import SweepView, TrialView
from gatesweep.report.words import escape, shown

_PANELS, _BEST, _OTHERS = 3, 40, 20
_STYLES: dict[str, dict[str, Any]] = {
    "others": {"name": "others", "line": {"width": 1.2, "color": "var(--completed)", "shape": "hv"}, "opacity": 0.5},
    "best": {"name": "best", "line": {"width": 3.5, "color": "var(--best)", "shape": "hv"}},
}


def schedules(view: SweepView, dimensions: Sequence[Axis], index: dict[str, int]) -> Figure | None:
    """The numbers that changed over the epochs, a panel each; None where none did."""
    trials = thinned([trial for trial in view.ranking() if trial.line], _BEST, _OTHERS)
    panels = [axis for axis in dimensions if _changes(trials, axis.key)][:_PANELS]
    if not panels:
        return None
    data: list[dict[str, Any]] = []
    layout: dict[str, Any] = {"xaxis": {"title": {"text": "epoch"}, "zeroline": False, "anchor": _axis(len(panels))},
                              "legend": {"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom"},
                              "margin": {"t": 36}, "hovermode": "closest"}  # fmt: skip
    for place, axis in enumerate(panels, 1):
        low, high = (len(panels) - place) / len(panels), (len(panels) - place + 0.86) / len(panels)
        layout["yaxis" + _axis(place)[1:]] = {"title": {"text": label_text(axis.label)}, "domain": [low, high],
                                              "type": "log" if axis.scale == "log" else "linear",
                                              "exponentformat": "e"}  # fmt: skip
        for name in _STYLES:
            group = [trial for trial in trials if (trial.trial_id == view.best) == (name == "best")]
            data.append({**_steps(axis.key, group, index), **_STYLES[name], "yaxis": _axis(place), "legendgroup": name,
                         "showlegend": place == 1})  # fmt: skip
    caption = f"{len(trials)} of {len(view.trials)} trials are drawn."
    return Figure("schedules", {"data": data, "layout": layout}, height_px=90 + 170 * len(panels), caption=caption)


def line_table(view: SweepView) -> str:
    """How the best trial's weights came about: whose values, from which epoch on; nothing where it copied none."""
    best = view.best_trial
    if best is None or len(best.line) < 2:
        return ""
    keys = dict.fromkeys(key for _, _, params in best.line for key in params)
    rows = "".join(
        f'<tr><td class="n">{after + 1}</td><td>{escape(name)}</td>'
        + "".join(f'<td class="n">{escape(shown(params.get(key)))}</td>' for key in keys)
        + "</tr>"
        for after, name, params in best.line
    )
    head = "".join(f'<th class="n">{escape(key)}</th>' for key in keys)
    names = f'<tr><th class="n">from epoch</th><th>trained by</th>{head}</tr>'
    table = f"<table><thead>{names}</thead><tbody>{rows}</tbody></table>"
    return section("line", f"How the weights of {best.label} came about", f'<div class="wide">{table}</div>')


def _axis(place: int) -> str:
    return "y" if place == 1 else f"y{place}"


def _changes(trials: Sequence[TrialView], key: str) -> bool:
    """Whether a number at this key is another later on."""
    return any(
        is_number(one.get(key)) and is_number(other.get(key)) and one[key] != other[key]
        for trial in trials
        for (_, _, one), (_, _, other) in itertools.pairwise(trial.line)
    )


def _steps(key: str, trials: Sequence[TrialView], index: dict[str, int]) -> dict[str, Any]:
    """Every trial's steps as one line with breaks."""
    x: list[int | None] = []
    y: list[float | None] = []
    rows: list[int] = []
    for trial in trials:
        points = [(after, params[key]) for after, _, params in trial.line if is_number(params.get(key))]
        points += [(trial.epochs, points[-1][1])] if points else []
        x += [epoch for epoch, _ in points] + [None]
        y += [float(f"{value:.6g}") for _, value in points] + [None]
        rows += [index[trial.trial_id]] * (len(points) + 1)
    return {"type": "scatter", "mode": "lines", "x": x, "y": y, "text": {"$hover_rows": rows},
            "hovertemplate": "from epoch %{x}: %{y:.5g}<br>%{text}<extra></extra>"}  # fmt: skip
