"""A linear model of which words and pairs of neighbours a text has, fitted elsewhere; it only answers.

    f_d      which of the known keys text d has, 0 or 1           a key is a word, or two words in a row
    s_k      w_k · f_d + b_k                                      one k for two labels, else one a label
    log p_k  log σ(±s) of two labels; log σ(s_k) - log Σ_j σ(s_j) of more

Shape suffixes: B texts, T words, M keys of a text, F keys known, R rows of weights (1 of two labels), K labels.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from gatesweep.models.padding import alive

NO_KEY = -1


class BagOfPairs(nn.Module):
    """See the module.

    Args:
        key_F: numbers of the keys, ascending: a word's own; of two, (first + 1) * words + second.
        weight_RF, bias_R: of the fitted model.
        words: how many word numbers there are.
    """

    key_F: Tensor
    weight_FR: Tensor
    bias_R: Tensor

    def __init__(self, key_F: NDArray[np.int64], weight_RF: NDArray[np.float64], bias_R: NDArray[np.float64], *,
                 words: int) -> None:  # fmt: skip
        super().__init__()
        self.words = words
        self.register_buffer("key_F", torch.from_numpy(np.asarray(key_F, np.int64)))
        self.register_buffer("weight_FR", torch.from_numpy(np.asarray(weight_RF.T, np.float32)).contiguous())
        self.register_buffer("bias_R", torch.from_numpy(np.asarray(bias_R, np.float32)))

    @torch.no_grad()
    def forward(self, ids_BT: Tensor, lengths_B: Tensor) -> Tensor:
        """`log_p_BK` of texts as word numbers."""
        key_BM = self._keys(ids_BT, lengths_B)
        place_BM = torch.searchsorted(self.key_F, key_BM).clamp(max=len(self.key_F) - 1)
        known_BM = self.key_F[place_BM] == key_BM
        score_BR = (self.weight_FR[place_BM] * known_BM.unsqueeze(2)).sum(dim=1) + self.bias_R
        if score_BR.shape[1] == 1:
            return logsigmoid(torch.cat([-score_BR, score_BR], dim=1))
        return logsigmoid(score_BR) - score_BR.sigmoid().sum(dim=1, keepdim=True).log()

    def _keys(self, ids_BT: Tensor, lengths_B: Tensor) -> Tensor:
        """Every key of a text once; `NO_KEY` elsewhere."""
        alive_BT = alive(lengths_B, ids_BT.shape[1])
        pair_BT = (ids_BT[:, :-1] + 1) * self.words + ids_BT[:, 1:]
        key_BM = torch.cat([ids_BT, pair_BT], dim=1).masked_fill(~torch.cat([alive_BT, alive_BT[:, 1:]], dim=1), NO_KEY)
        key_BM = key_BM.sort(dim=1).values
        again_BM = torch.zeros_like(key_BM, dtype=torch.bool)
        again_BM[:, 1:] = key_BM[:, 1:] == key_BM[:, :-1]
        return key_BM.masked_fill(again_BM, NO_KEY)
