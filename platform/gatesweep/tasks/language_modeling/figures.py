"""Where the loss comes from, as pictures: rare words, places in the line."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from gatesweep.tasks.language_modeling.corpus import Ids

MODEL, BASELINE, SHARE = "#d1495b", "#8d96a3", "#dfe3e8"
PLACES = 60
"""Places in a line that are shown, at most."""


def by_frequency(table: pd.DataFrame, counts_V: Ids, *, title: str) -> Figure:
    """Mean loss of words that are seen 0, 1, 2-3, 4-7, … times in training, and how much of the text they are.

    Args:
        table: with columns id, loss, unigram.
    """
    octave_N = np.frexp(counts_V[table["id"].to_numpy()])[1]
    mean = table[["loss", "unigram"]].groupby(octave_N).mean()
    share = table.groupby(octave_N).size() / len(table)
    figure, axes = _axes(title, "times in the training text", "nats a word")
    beside = axes.twinx()
    beside.bar(share.index, share.to_numpy(), color=SHARE, width=0.9)
    beside.set_ylabel("share of the text")
    beside.spines[["top"]].set_visible(False)
    axes.set_zorder(beside.get_zorder() + 1)
    axes.patch.set_visible(False)
    axes.plot(mean.index, mean["unigram"], color=BASELINE, marker="o", markersize=3, label="unigram")
    axes.plot(mean.index, mean["loss"], color=MODEL, marker="o", markersize=3, label="model")
    axes.set_xticks(mean.index, [_times(octave) for octave in mean.index], rotation=45, ha="right")
    axes.legend(frameon=False)
    return figure


def by_position(table: pd.DataFrame, *, title: str) -> Figure:
    """Mean loss of the first, second, … word of a line.

    Args:
        table: with columns position (from 1), loss, unigram.
    """
    shown = table[table["position"] <= PLACES]
    mean = shown.groupby("position")[["loss", "unigram"]].mean()
    figure, axes = _axes(title, "place in the line", "nats a word")
    axes.plot(mean.index, mean["unigram"], color=BASELINE, label="unigram")
    axes.plot(mean.index, mean["loss"], color=MODEL, label="model")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    return figure


def _times(octave: int) -> str:
    first, last = (1 << octave) >> 1, (1 << octave) - 1
    return f"{first:,}" if first >= last else f"{first:,}-{last:,}"


def _axes(title: str, x: str, y: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(10, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set(title=title, xlabel=x, ylabel=y)
    axes.spines[["top"]].set_visible(False)
    return figure, axes
