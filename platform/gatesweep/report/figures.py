"""The charts without their data: what they share, and the bars of importance.

The page holds each trial once, in columns (`embed.py`); a chart refers to them, and `assets/charts.js` fills the
references in:

    {"$column": KEY, "rows": NAME}    the values of a column at the rows that NAME lists in `rows`; further keys:
        log: true                     log10 of the value             missing: x    stands for an absent value
        clip: [low, high]             nothing beyond these           jitter: a     moves equal points apart, at most a
    {"$hover": NAME}                  one description per row of that list; {"$hover_rows": [row, …]} of these rows
    "var(--best)"                     a colour of the style sheet, light or dark
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from gatesweep.report.axes import Axis
from gatesweep.report.importance import Importance
from gatesweep.report.scales import Scale, robust
from gatesweep.report.view import SweepView, TrialView
from gatesweep.report.words import clean, number, shortened

MOST_AXES = 12


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart: `spec` for its script, `rows` the lists of rows it refers to, `height_px`, and what to say below it."""

    name: str
    spec: dict[str, Any]
    rows: dict[str, list[int]] = field(default_factory=dict)
    height_px: int = 380
    caption: str = ""


def label_text(text: str, most: int = 24) -> str:
    """A user's text as Plotly shows it: Plotly reads a little HTML in every label."""
    return html.escape(shortened(clean(text), most), quote=False)


def importance_bars(found: Importance, dimensions: Sequence[Axis]) -> Figure | None:
    """Shares as horizontal bars, largest on top, each with its number; None where there are no shares."""
    if not found.shares:
        return None
    labels = {axis.key: axis.label for axis in dimensions}
    shares = list(found.shares.items())[:MOST_AXES][::-1]
    bars = {
        "type": "bar",
        "orientation": "h",
        "x": [round(share, 4) for _, share in shares],
        "y": [label_text(labels[key]) + "  " for key, _ in shares],
        "text": [f"{share:.2f}" for _, share in shares],
        "textposition": "outside",
        "cliponaxis": False,
        "marker": {"color": "var(--completed)"},
        "hovertemplate": "%{y}: %{x:.3f}<extra></extra>",
    }
    layout = {
        "xaxis": {
            "title": {"text": "share of the importance"},
            "range": [0, min(1.08, shares[-1][1] * 1.15)],
            "rangemode": "tozero",
        },
        "yaxis": {"automargin": True, "showgrid": False},
        "showlegend": False,
        "margin": {"t": 8},
        "bargap": 0.35,
    }
    return Figure("importance", {"data": [bars], "layout": layout}, height_px=70 + 34 * len(shares))


def level_ticks(axis: Axis, most: int = 14) -> tuple[list[float], list[str]]:
    """Places and labels of a categorical axis, every second or third where there are too many to read."""
    step = -(-len(axis.levels) // most)
    places = range(0, len(axis.levels), step)
    return [float(place) for place in places], [shortened(clean(axis.levels[place]), 16) for place in places]


def objective_scale(view: SweepView, ranked: Sequence[TrialView]) -> Scale:
    """Where the completed trials lie, or all if few completed.

    Pruned ones, far off after two epochs, would squeeze the others flat.
    """
    completed = [trial.value for trial in ranked if trial.outcome == "completed" and trial.value is not None]
    values = [trial.value for trial in ranked if trial.value is not None]
    return robust(completed if len(completed) >= 5 else values, view.mode, among=values)


def thinned(ranked: Sequence[TrialView], best: int, others: int) -> list[TrialView]:
    """The `best` first trials and at most `others` of the rest, taken at even distances."""
    rest = ranked[best:]
    step = max(1.0, len(rest) / others)
    return [*ranked[:best], *(rest[int(place * step)] for place in range(min(others, len(rest))))]


def clip_note(scale: Scale, caption: str) -> str:
    """A chart's caption, with the number of trials that its scale leaves out."""
    beyond = f"{scale.beyond:,} trials beyond {number(scale.edge)} are drawn at the edge." if scale.beyond else ""
    return f"{caption} {beyond}".strip()
