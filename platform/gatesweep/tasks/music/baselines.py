"""Models of notes without recurrence, every note for itself, scored on the very frames that the model is scored on.

    note frequencies    p(v_k = 1)           = (n_k + 1) / (N + 2)              how often the note sounds in training
    each note by itself p(v_k = 1 | was on)  = (n_k(1 → 1) + a p_k) / (n_k(1) + a)    a = 2: whether it sounded before
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gatesweep.data.music.rolls import Piece, Roll
from gatesweep.tasks.base import Baseline
from gatesweep.tasks.music.metrics import Floats, Sums

FREQUENCIES, BY_ITSELF = "note frequencies", "each note by itself"
PRIOR = 2.0


@dataclass(frozen=True)
class Notes:
    """Fitted on training pieces. Letters: K notes; P whether the note sounded a frame before."""

    p_K: Floats
    p_PK: Floats

    @classmethod
    def fit(cls, pieces: Sequence[Piece]) -> Notes:
        """Args: pieces: of training, in their own keys."""
        rolls = [piece.roll_TK for piece in pieces]
        sounding_K = sum(roll_TK.sum(axis=0) for roll_TK in rolls)
        p_K = (sounding_K + 1) / (sum(map(len, rolls)) + 2)
        rows = []
        for was in (False, True):
            before_K = sum((roll_TK[:-1] == was).sum(axis=0) for roll_TK in rolls)
            then_K = sum(((roll_TK[:-1] == was) & roll_TK[1:]).sum(axis=0) for roll_TK in rolls)
            rows.append((then_K + PRIOR * p_K) / (before_K + PRIOR))
        return cls(p_K, np.stack(rows))

    def chances(self, roll_TK: Roll) -> dict[str, Floats]:
        """p(v = 1) of every frame, by the model's name; before the first frame nothing sounds."""
        before_TK = np.concatenate([np.zeros_like(roll_TK[:1]), roll_TK[:-1]])
        return {FREQUENCIES: np.broadcast_to(self.p_K, roll_TK.shape),
                BY_ITSELF: np.where(before_TK, self.p_PK[1], self.p_PK[0])}


def nll(chance_TK: Floats, roll_TK: Roll) -> Floats:
    """-Σ_k log p(v_k) of every frame."""
    found_T: Floats = -np.log(np.where(roll_TK, chance_TK, 1 - chance_TK)).sum(axis=1)
    return found_T


def baseline(train: Sequence[Piece], asked: Sequence[Piece], *, skip: int) -> Baseline:
    """Both; each note by itself is the one to beat.

    Args:
        skip: frames at the begin of each piece that are not scored.
    """
    notes, sums = Notes.fit(train), {FREQUENCIES: Sums(), BY_ITSELF: Sums()}
    for piece in asked:
        for name, chance_TK in notes.chances(piece.roll_TK).items():
            said_TK = chance_TK >= 0.5
            sums[name].add(Sums.of(nll(chance_TK, piece.roll_TK)[skip:], piece.roll_TK[skip:], said_TK[skip:]))
    scores = {name: each.scores() for name, each in sums.items()}
    return Baseline(BY_ITSELF, scores[BY_ITSELF], scores)
