"""How good the probabilities of labels are. Letters: N texts, K labels, p probabilities, y the truth.

    loss      mean -ln p_y
    accuracy  share of argmax p = y
    f1        mean over labels of 2 TP / (2 TP + FP + FN), 0 for a label that is neither there nor said
    auroc     probability that a text of a label gets more of it than a text of another; of several labels the mean
    ece       Σ_b |b| / N · |accuracy(b) - confidence(b)| over 15 bins of max p (Guo et al. 2017, equation 3)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

BINS = 15
NAMES = ("loss", "accuracy", "f1", "auroc", "ece")
SMALLEST = 1e-300


def metrics_of(p_NK: Floats, y_N: Labels) -> dict[str, float]:
    """Those of `NAMES` that are defined for these texts: where one label alone occurs there is no auroc."""
    said_N = p_NK.argmax(axis=1)
    loss_N = -np.log(np.maximum(p_NK[np.arange(len(y_N)), y_N], SMALLEST))
    found = {"loss": float(loss_N.mean()), "accuracy": float((said_N == y_N).mean()), "f1": macro_f1(said_N, y_N,
             p_NK.shape[1]), "ece": calibration_error(p_NK, y_N)}  # fmt: skip
    area = auroc(p_NK, y_N)
    return found if area is None else {**found, "auroc": area}


def macro_f1(said_N: Labels, y_N: Labels, labels: int) -> float:
    """The mean of every label's F1."""
    table_KK = confusion(said_N, y_N, labels)
    hits_K, both_K = np.diag(table_KK), table_KK.sum(axis=0) + table_KK.sum(axis=1)
    return float(np.where(both_K > 0, 2 * hits_K / np.maximum(both_K, 1), 0.0).mean())


def confusion(said_N: Labels, y_N: Labels, labels: int) -> Labels:
    """`table_KK`: texts of each label (rows) and what was said of them (columns)."""
    return np.bincount(y_N * labels + said_N, minlength=labels * labels).reshape(labels, labels).astype(np.int64)


def auroc(p_NK: Floats, y_N: Labels) -> float | None:
    """From ranks, ties counting half (Mann & Whitney); of two labels the second's, else the mean of each against all
    others. None where a label is missing."""
    labels = p_NK.shape[1]
    if len(np.unique(y_N)) < labels:
        return None
    chosen = [1] if labels == 2 else range(labels)
    return float(np.mean([_area(p_NK[:, label], y_N == label) for label in chosen]))


def _area(score_N: Floats, is_N: NDArray[np.bool_]) -> float:
    _, place_N, count_U = np.unique(score_N, return_inverse=True, return_counts=True)
    rank_N = (np.cumsum(count_U) - (count_U - 1) / 2)[place_N]
    yes, no = int(is_N.sum()), int((~is_N).sum())
    return float((rank_N[is_N].sum() - yes * (yes + 1) / 2) / (yes * no))


def reliability(p_NK: Floats, y_N: Labels, bins: int = BINS) -> tuple[Labels, Floats, Floats]:
    """Texts, mean confidence and accuracy in each bin of the confidence `max p`, which is open below, closed above."""
    confidence_N, hit_N = p_NK.max(axis=1), p_NK.argmax(axis=1) == y_N
    bin_N = np.clip(np.ceil(confidence_N * bins).astype(np.int64) - 1, 0, bins - 1)
    count_M = np.bincount(bin_N, minlength=bins)
    shared_M = np.maximum(count_M, 1)
    return (count_M.astype(np.int64), np.bincount(bin_N, confidence_N, minlength=bins) / shared_M,
            np.bincount(bin_N, hit_N.astype(np.float64), minlength=bins) / shared_M)  # fmt: skip


def calibration_error(p_NK: Floats, y_N: Labels, bins: int = BINS) -> float:
    """Expected calibration error."""
    count_M, confidence_M, accuracy_M = reliability(p_NK, y_N, bins)
    return float((count_M * np.abs(accuracy_M - confidence_M)).sum() / len(y_N))
