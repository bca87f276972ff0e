"""What was remembered, and for how long, as pictures without pyplot's global state."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

MODEL, BASELINE = "#d1495b", "#8d96a3"
GROUPS = 20


def numbers(table: pd.DataFrame, *, title: str) -> Figure:
    """Of adding: what was said over what is true."""
    figure = Figure(figsize=(5.5, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.plot([0, 2], [0, 2], color=BASELINE, linewidth=1)
    axes.scatter(table["truth"], table["said"], s=6, color=MODEL, alpha=0.5, linewidths=0)
    axes.set(title=title, xlabel="sum of the two marked numbers", ylabel="said")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def by_step(table: pd.DataFrame, without: float, *, title: str) -> Figure:
    """Share of right answers over the step that they were asked at, in groups of steps."""
    figure = Figure(figsize=(8, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    steps = np.unique(table["step"].to_numpy())
    groups = [group for group in np.array_split(steps, min(GROUPS, len(steps))) if len(group)]
    right = (table["said"] == table["truth"]).to_numpy()
    shares = [float(right[np.isin(table["step"], group)].mean()) for group in groups]
    axes.plot([float(group.mean()) for group in groups], shares, marker="o", color=MODEL, label="model")
    axes.axhline(without, color=BASELINE, label="without memory")
    axes.set(title=title, xlabel="step that the answer is asked at", ylabel="right answers")
    axes.set_ylim(0, 1.05)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    return figure


def by_length(scores: Mapping[int, tuple[float, float]], learnt: int, *, title: str) -> Figure:
    """The trained model on sequences of other lengths.

    Args:
        scores: of each length, right answers of the model and of whoever has no memory.
        learnt: the length of training.
    """
    figure = Figure(figsize=(8, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    lengths = sorted(scores)
    for place, (label, colour) in enumerate((("model", MODEL), ("without memory", BASELINE))):
        axes.plot(lengths, [scores[length][place] for length in lengths], marker="o", color=colour, label=label)
    axes.axvline(learnt, color=BASELINE, linestyle=":", label="length of training")
    axes.set(title=title, xlabel="length", ylabel="right answers", xscale="log")
    axes.set_ylim(0, 1.05)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    return figure
