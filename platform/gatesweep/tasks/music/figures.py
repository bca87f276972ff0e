"""What the model expects, beside what sounds, as pictures without pyplot's global state.

Letters: T frames, K the 88 notes.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from gatesweep.data.music.rolls import LOWEST, NOTES, Roll
from gatesweep.tasks.music.metrics import Floats

MODEL, BASELINE = "#d1495b", "#8d96a3"
SHOWN_FRAMES = 120
GROUPS = 12


def piano_roll(roll_TK: Roll, chance_TK: Floats, *, title: str) -> Figure:
    """A piece's notes, and how likely the model held each of them before it heard the frame."""
    roll_TK, chance_TK = roll_TK[:SHOWN_FRAMES], chance_TK[:SHOWN_FRAMES]
    figure = Figure(figsize=(11, 7), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    columns = np.flatnonzero(roll_TK.any(axis=0))
    low, high = (int(columns[0]), int(columns[-1])) if len(columns) else (0, NOTES - 1)
    padded = slice(max(0, low - 3), min(NOTES, high + 4))
    edges = (0.5, len(roll_TK) + 0.5, LOWEST + padded.start - 0.5, LOWEST + padded.stop - 0.5)
    for place, (shown_TK, name) in enumerate(((roll_TK, "sounds"), (chance_TK, "expected")), 1):
        axes = figure.add_subplot(2, 1, place)
        axes.imshow(shown_TK[:, padded].T, cmap="Reds", vmin=0, vmax=1, aspect="auto", origin="lower", extent=edges,
                    interpolation="nearest")  # fmt: skip
        axes.set(title=name, xlabel="frame", ylabel="note (MIDI number)")
    return figure


def loss_by_frame(table: pd.DataFrame, *, baseline: str, title: str) -> Figure:
    """NLL from a piece's begin to its end, in groups of as many frames each, beside the baseline's."""
    figure = Figure(figsize=(8, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    ranked = table.sort_values("frame", kind="stable")
    groups = [group for group in np.array_split(np.arange(len(ranked)), min(GROUPS, len(ranked))) if len(group)]
    middle = [float(ranked["frame"].iloc[group].median()) for group in groups]
    for name, label, colour in (("loss", "model", MODEL), ("baseline", baseline, BASELINE)):
        axes.plot(middle, [float(ranked[name].iloc[group].mean()) for group in groups], marker="o", label=label,
                  color=colour)  # fmt: skip
    axes.set(title=title, xlabel="frame of the piece", ylabel="NLL of a frame (nats)")
    axes.set_ylim(bottom=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    return figure
