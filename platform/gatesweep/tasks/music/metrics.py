"""What a model of notes is judged by, from sums over the scored frames.

    nll of a frame   -Σ_k log p(v_k)                      all 88 notes; nats
    loss             its mean over all frames             as in Bai et al. 2018 and Greff et al. 2017
    piece_loss       the mean over pieces of each piece's mean, whatever their lengths
    accuracy         Σ TP / Σ (TP + FP + FN)              notes right among those that sound or are said to sound
                                                          (Bay et al., ISMIR 2009; Boulanger-Lewandowski et al. 2012)
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass
class Sums:
    """Of one piece, or of several."""

    nll: float = 0.0
    frames: int = 0
    piece_nll: float = 0.0
    """The sum of the pieces' means."""
    pieces: int = 0
    right: int = 0
    any: int = 0
    """Notes that sound, or are said to, or both."""

    @classmethod
    def of(cls, nll_T: Floats, truth_TK: NDArray[np.bool_], said_TK: NDArray[np.bool_]) -> Sums:
        """Of the scored frames of one piece; without any, it is no piece."""
        if not len(nll_T):
            return cls()
        total = float(nll_T.sum())
        return cls(total, len(nll_T), total / len(nll_T), 1, int((truth_TK & said_TK).sum()),
                   int((truth_TK | said_TK).sum()))  # fmt: skip

    def add(self, other: Sums) -> None:
        """Take another piece, or several, in."""
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))

    def scores(self) -> dict[str, float]:
        """`loss`, `piece_loss`, `accuracy`."""
        return {"loss": self.nll / max(1, self.frames), "piece_loss": self.piece_nll / max(1, self.pieces),
                "accuracy": self.right / max(1, self.any)}  # fmt: skip
