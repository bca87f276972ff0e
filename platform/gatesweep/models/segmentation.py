"""From an answer of every step to a text: the likeliest path when each change between answers has a price.

    score(a) = Σ_t log p_t(a_t) - c · #{t: a_t ≠ a_(t-1)}          Viterbi 1967, over a chain of K states

With c = 0 that is the likeliest answer of each step. It is a hidden Markov model over words, each of one state, whose
transitions are all alike.  Shape suffixes: T steps, K answers.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SILENCE = 0


def best_path(log_probs_TK: NDArray[np.floating], change: float) -> NDArray[np.int64]:
    """`a_T`; of equal paths the one that changes later."""
    T, K = log_probs_TK.shape
    score_K, came_TK = log_probs_TK[0].astype(np.float64), np.zeros((T, K), np.int64)
    for t in range(1, T):
        best = int(score_K.argmax())
        stays_K = score_K >= score_K[best] - change
        came_TK[t] = np.where(stays_K, np.arange(K), best)
        score_K = np.where(stays_K, score_K, score_K[best] - change) + log_probs_TK[t]
    path_T = np.empty(T, np.int64)
    path_T[-1] = score_K.argmax()
    for t in range(T - 1, 0, -1):
        path_T[t - 1] = came_TK[t, path_T[t]]
    return path_T


def joined(path_T: NDArray[np.int64]) -> list[int]:
    """The answers of a path, one for each stretch, silence left out."""
    stretches = path_T[np.concatenate([[True], path_T[1:] != path_T[:-1]])]
    return [int(each) for each in stretches if each != SILENCE]
