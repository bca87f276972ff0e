"""What needs no network: the most frequent label, and a bag of words and bigrams.

    f_d   which words and pairs of neighbours text d has, 0 or 1
    r_k   ln( (α + Σ_{d in k} f_d) / |·|₁ ) - ln( (α + Σ_{d not in k} f_d) / |·|₁ )        α = 1
    p_k   logistic regression on f_d ⊙ r_k, a label against all others       (Wang & Manning 2012, with its NB features)

Letters: N texts, F features, K labels, R rows of weights (of two labels one, else one a label).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from gatesweep.tasks.classification.metrics import Floats, Labels, metrics_of
from gatesweep.tasks.classification.reading import Ids

MAJORITY, BIGRAMS = "majority", "bigrams, logistic regression"
SMOOTHING, INVERSE_PENALTY, MIN_TEXTS = 1.0, 1.0, 2


class Bigrams:
    """The linear baseline, fitted.

    Args:
        rows: token numbers of the training texts.
        words: how many token numbers there are.
    """

    def __init__(self, rows: Sequence[Ids], label_N: Labels, *, words: int, labels: int) -> None:
        self.words = words
        key_N = [self._keys(row) for row in rows]
        counted, count_F = np.unique(np.concatenate(key_N), return_counts=True)
        self.key_F = counted[count_F >= min(MIN_TEXTS, len(rows))]
        f_NF = self._matrix(key_N)
        chosen = range(1, labels) if labels == 2 else range(labels)
        parts = [_fitted(f_NF, label_N == label) for label in chosen]
        self.weight_RF, self.bias_R = np.stack([part[0] for part in parts]), np.array([part[1] for part in parts])

    def probabilities(self, rows: Sequence[Ids]) -> Floats:
        """`p_NK`."""
        f_NF = self._matrix([self._keys(row) for row in rows])
        score_NK = f_NF @ self.weight_RF.T + self.bias_R
        if score_NK.shape[1] == 1:
            score_NK = np.concatenate([-score_NK, score_NK], axis=1)
        p_NK: Floats = 1 / (1 + np.exp(-score_NK))
        return p_NK / p_NK.sum(axis=1, keepdims=True)

    def _keys(self, row: Ids) -> Ids:
        """A number for each word and pair that is there."""
        return np.unique(np.concatenate([row, (row[:-1] + 1) * self.words + row[1:]]))

    def _matrix(self, key_N: Sequence[Ids]) -> sparse.csr_matrix:
        starts = np.cumsum([0, *map(len, key_N)])
        keys = np.concatenate(key_N)
        place = np.minimum(np.searchsorted(self.key_F, keys), len(self.key_F) - 1)
        known = (self.key_F[place] == keys).astype(np.float64)
        matrix = sparse.csr_matrix((known, place, starts), shape=(len(key_N), len(self.key_F)))
        matrix.eliminate_zeros()
        return matrix


def _fitted(f_NF: sparse.csr_matrix, is_N: NDArray[np.bool_]) -> tuple[Floats, float]:
    """Weights on the features themselves (ratios multiplied in) and the bias."""
    from sklearn.linear_model import LogisticRegression

    with_F = SMOOTHING + np.asarray(f_NF[is_N].sum(axis=0)).ravel()
    without_F = SMOOTHING + np.asarray(f_NF[~is_N].sum(axis=0)).ravel()
    ratio_F = np.log(with_F / with_F.sum()) - np.log(without_F / without_F.sum())
    found = LogisticRegression(C=INVERSE_PENALTY, solver="liblinear", dual=True, random_state=0, max_iter=1000)
    found.fit(f_NF @ sparse.diags(ratio_F), is_N)
    return found.coef_[0] * ratio_F, float(found.intercept_[0])


def majority(train_N: Labels, label_N: Labels, labels: int) -> dict[str, float]:
    """Always the training's most frequent label, the shares of all labels as probabilities."""
    share_K = np.bincount(train_N, minlength=labels) / len(train_N)
    return metrics_of(np.tile(share_K, (len(label_N), 1)), label_N)
