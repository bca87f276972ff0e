"""Language models without parameters to train, scored on the very tokens that the model is scored on.

    unigram   p(w)     = (c(w) + 1) / (N + V)                                 add-one (Laplace)
    bigram    p(w | v) = max(c(v w) - D, 0) / c(v) + D n(v ·) / c(v) q(w)     interpolated Kneser-Ney
              q(w)     = max(n(· w) - D, 0) / n(· ·) + D m / (n(· ·) V)

c counts training tokens, n(v ·) the different words seen after v, n(· w) those seen before w, n(· ·) the different
pairs, m the words that come after any. The text begins after `<eos>`; after a word never seen, p(w | v) = q(w).
Kneser & Ney, ICASSP 1995; Chen & Goodman 1999, "An empirical study of smoothing techniques for language modeling".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gatesweep.tasks.base import Baseline
from gatesweep.tasks.language_modeling.corpus import Ids
from gatesweep.tasks.language_modeling.module import from_sums

UNIGRAM, BIGRAM = "unigram", "bigram, Kneser-Ney"
DISCOUNT = 0.75
Floats = NDArray[np.float64]


def unigram_V(ids_N: Ids, vocabulary: int) -> Floats:
    """Probabilities of every word."""
    counts_V = np.bincount(ids_N, minlength=vocabulary)
    probability_V: Floats = (counts_V + 1) / (len(ids_N) + vocabulary)
    return probability_V


@dataclass(frozen=True)
class Bigram:
    """Counts of pairs, sorted, as one number each."""

    pairs_P: Ids
    counts_P: Ids
    follows_V: Ids
    """c(v): how often a word has one after it."""
    kinds_V: Ids
    """n(v ·)."""
    q_V: Floats

    @classmethod
    def fit(cls, ids_N: Ids, vocabulary: int, before: int) -> Bigram:
        """Args: before: the token that the text begins after."""
        first_N = np.concatenate([[before], ids_N[:-1]])
        pairs_P, counts_P = np.unique(first_N * vocabulary + ids_N, return_counts=True)
        seen_V = np.bincount(pairs_P % vocabulary, minlength=vocabulary)
        left = DISCOUNT * (seen_V > 0).sum() / len(pairs_P)
        q_V = np.maximum(seen_V - DISCOUNT, 0) / len(pairs_P) + left / vocabulary
        return cls(pairs_P, counts_P, np.bincount(first_N, minlength=vocabulary),
                   np.bincount(pairs_P // vocabulary, minlength=vocabulary), q_V)  # fmt: skip

    def probability(self, first_M: Ids, second_M: Ids) -> Floats:
        """p(second | first) of each pair."""
        asked_M = first_M * len(self.q_V) + second_M
        place_M = np.minimum(np.searchsorted(self.pairs_P, asked_M), len(self.pairs_P) - 1)
        count_M = np.where(self.pairs_P[place_M] == asked_M, self.counts_P[place_M], 0)
        total_M = np.maximum(self.follows_V[first_M], 1)
        left_M = np.where(self.follows_V[first_M] > 0, DISCOUNT * self.kinds_V[first_M] / total_M, 1.0)
        found_M: Floats = np.maximum(count_M - DISCOUNT, 0) / total_M + left_M * self.q_V[second_M]
        return found_M


def baseline(train_N: Ids, asked_N: Ids, characters_V: Ids, before: int) -> Baseline:
    """Both, on every token of `asked_N`; the unigram is the one to beat."""
    vocabulary = len(characters_V)
    given_N = np.concatenate([[before], asked_N[:-1]])
    chances = {UNIGRAM: unigram_V(train_N, vocabulary)[asked_N],
               BIGRAM: Bigram.fit(train_N, vocabulary, before).probability(given_N, asked_N)}  # fmt: skip
    characters = float(characters_V[asked_N].sum())
    scores = {name: from_sums(-float(np.log(chance_N).sum()), len(asked_N), characters)
              for name, chance_N in chances.items()}  # fmt: skip
    return Baseline(UNIGRAM, scores[UNIGRAM], scores)
