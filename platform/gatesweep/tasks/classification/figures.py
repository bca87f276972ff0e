"""Confusions, calibration and ROC as pictures, without pyplot's global state. Letters: N texts, K labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from gatesweep.tasks.classification.metrics import (
    BINS,
    Floats,
    Labels,
    auroc,
    calibration_error,
    confusion,
    reliability,
)

MODEL, BASELINE, IDEAL = "#d1495b", "#8d96a3", "#222222"
NAMED = 20
"""Labels beyond which a confusion matrix names none."""


def confusion_matrix(p_NK: Floats, y_N: Labels, labels: Sequence[str], *, title: str) -> Figure:
    """Counts, shaded by the share of each row."""
    table_KK = confusion(p_NK.argmax(axis=1), y_N, len(labels))
    share_KK = table_KK / np.maximum(table_KK.sum(axis=1, keepdims=True), 1)
    figure, axes = _axes(title, "said", "truth")
    axes.imshow(share_KK, cmap="Blues", vmin=0, vmax=1)
    if len(labels) <= NAMED:
        axes.set_xticks(range(len(labels)), labels)
        axes.set_yticks(range(len(labels)), labels)
        for (row, column), count in np.ndenumerate(table_KK):
            axes.text(column, row, f"{count:,}", ha="center", va="center",
                      color="white" if share_KK[row, column] > 0.5 else IDEAL)  # fmt: skip
    return figure


def calibration(p_NK: Floats, beside_NK: Floats, y_N: Labels, *, title: str, baseline: str) -> Figure:
    """Accuracy over confidence, and how many texts have which confidence."""
    figure, axes = _axes(title, "confidence", "accuracy")
    axes.plot([0, 1], [0, 1], color=IDEAL, linewidth=0.8, linestyle=":")
    for p, colour, name in ((beside_NK, BASELINE, baseline), (p_NK, MODEL, "model")):
        count_M, confidence_M, accuracy_M = reliability(p, y_N)
        there = count_M > 0
        axes.plot(confidence_M[there], accuracy_M[there], color=colour, marker="o", markersize=3,
                  label=f"{name}, ECE {calibration_error(p, y_N):.3f}")  # fmt: skip
    axes.bar((np.arange(BINS) + 0.5) / BINS, reliability(p_NK, y_N)[0] / len(y_N), width=0.9 / BINS, color=MODEL,
             alpha=0.15, label="share of texts")  # fmt: skip
    axes.set(xlim=(1 / p_NK.shape[1] - 0.05, 1), ylim=(0, 1.02))
    axes.legend(frameon=False, loc="upper left")
    return figure


def roc(p_NK: Floats, beside_NK: Floats, y_N: Labels, labels: Sequence[str], *, title: str, baseline: str) -> Figure:
    """True over false positives, of two labels the second's, else of each."""
    figure, axes = _axes(title, "share of the other texts", "share of the label's texts")
    axes.plot([0, 1], [0, 1], color=IDEAL, linewidth=0.8, linestyle=":")
    chosen = [1] if len(labels) == 2 else [label for label in range(len(labels)) if (y_N == label).any()]
    for label in chosen:
        for p, colour, name in ((beside_NK, BASELINE, baseline), (p_NK, MODEL, "model")):
            area = auroc(p, y_N)
            said = f"{name}, area {area:.4f}" if label == chosen[0] and area is not None else None
            axes.plot(*_curve(p[:, label], y_N == label), color=colour, linewidth=1.2, label=said)
    axes.legend(frameon=False, loc="lower right")
    return figure


def _curve(score_N: Floats, is_N: Labels) -> tuple[Floats, Floats]:
    order = np.argsort(-score_N, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(score_N[order])), len(order) - 1)
    hits, misses = np.cumsum(is_N[order])[ends], np.cumsum(~is_N[order].astype(bool))[ends]
    return np.append(0, misses) / max(misses[-1], 1), np.append(0, hits) / max(hits[-1], 1)


def _axes(title: str, x: str, y: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(6, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set(title=title, xlabel=x, ylabel=y)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes
