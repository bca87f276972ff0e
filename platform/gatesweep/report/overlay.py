"""Learning curves of several runs in one picture: a colour a side, thin lines its runs, a thick one their mean."""

from __future__ import annotations

import io
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gatesweep.report.words import clean, shortened

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Okabe & Ito's palette (2008), which colour-blind readers tell apart."""

_DASHES = ("-", "--", ":", "-.")

Points = Mapping[int, float]
"""A value for each epoch."""


@dataclass(frozen=True)
class Curve:
    """What is drawn in one colour: a line for each run."""

    label: str
    runs: Sequence[Points]


def mean_of(runs: Sequence[Points]) -> dict[int, float]:
    """The mean at every epoch that all runs have: beyond it, the mean would be over fewer and jump."""
    common = set.intersection(*(set(points) for points in runs)) if runs else set()
    return {epoch: statistics.fmean(points[epoch] for points in runs) for epoch in sorted(common)}


def overlay_svg(curves: Sequence[Curve], metric: str) -> str:
    """The picture as SVG; the same curves give the same text.

    Args:
        curves: at least one; values that are no numbers are left out.
    """
    import matplotlib

    text = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "gatesweep"}):
        draw(curves, metric).savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()


def draw(curves: Sequence[Curve], metric: str) -> Figure:
    """Epochs to the right, the metric upwards."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(8, 4.8), layout="constrained")
    axes = figure.subplots()
    for place, curve in enumerate(curves):
        runs = [_finite(points) for points in curve.runs]
        dash = _DASHES[place // len(_COLOURS) % len(_DASHES)]
        style: dict[str, Any] = {"color": _COLOURS[place % len(_COLOURS)], "linestyle": dash}
        thick = runs[0] if len(runs) == 1 else mean_of(runs)
        label = curve.label if len(runs) == 1 else f"{curve.label}, mean of {len(runs)}"
        for points in runs if len(runs) > 1 else ():
            axes.plot(list(points), list(points.values()), linewidth=0.8, alpha=0.45, **style)
        axes.plot(list(thick), list(thick.values()), label=_text(label), linewidth=2.0,
                  marker="o" if len(thick) < 2 else None, **style)  # fmt: skip
    axes.set_xlabel("epoch")
    axes.set_ylabel(_text(metric))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    return figure


def _finite(points: Points) -> dict[int, float]:
    return {epoch: value for epoch, value in sorted(points.items()) if math.isfinite(value)}


def _text(words: str) -> str:
    """A dollar begins no formula."""
    return shortened(clean(words), 60).replace("$", r"\$")
