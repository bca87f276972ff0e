"""What is mistaken for what, and how answers get worse as noise gets louder, without pyplot's global state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

MODEL, BASELINE = "#d1495b", "#8d96a3"
MOST_LABELS = 40


def confusion(answers: Sequence[str], said: Sequence[str], labels: Sequence[str], *, title: str) -> Figure:
    """Rows are the truth, columns what was said; the share of each row."""
    number = {label: place for place, label in enumerate(labels)}
    table_KK = np.zeros((len(labels), len(labels)))
    for answer, each in zip(answers, said, strict=True):
        table_KK[number[answer], number[each]] += 1
    figure = Figure(figsize=(6.5, 6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.imshow(table_KK / np.maximum(1, table_KK.sum(axis=1, keepdims=True)), cmap="Reds", vmin=0, vmax=1)
    axes.set(title=title, xlabel="said", ylabel="truth")
    if len(labels) <= MOST_LABELS:
        axes.set_xticks(range(len(labels)), labels, rotation=90)
        axes.set_yticks(range(len(labels)), labels)
        for row, column in zip(*np.nonzero(table_KK), strict=True):
            axes.text(column, row, f"{int(table_KK[row, column])}", ha="center", va="center", fontsize=8)
    return figure


def under_noise(curves: Mapping[str, Sequence[float]], snr_db: Sequence[float | None], measure: str, *,
                title: str) -> Figure:
    """A measure over the signal-to-noise ratio, from the clean sound on the left to the loudest noise."""
    figure = Figure(figsize=(8, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for number, (who, values) in enumerate(curves.items()):
        axes.plot(range(len(snr_db)), values, marker="o", label=who, color=BASELINE if number else MODEL)
    axes.set(title=title, xlabel="signal-to-noise ratio in dB (white noise)", ylabel=measure)
    axes.set_xticks(range(len(snr_db)), ["clean" if each is None else f"{each:g}" for each in snr_db])
    axes.set_ylim(bottom=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    return figure
