"""Attention pooling: one vector of a sequence, a mean weighted by what its steps hold (Yang et al. 2016, "Hierarchical
attention networks for document classification", equations 5-7, whose query u is learned).

    s_t = uᵀ tanh(W y_t + b)            a = softmax(s)            pooled = Σ_t a_t y_t

Parts of a sequence are pooled as the whole: with L = log Σ e^s over what came before, both parts are weighted by their
share of e^L.

Shape suffixes: T time steps, B batch, O outputs.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gatesweep.models import padding


class AttentionPooling(nn.Module):
    """Pools outputs of `width` numbers."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.score = nn.Sequential(nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 1, bias=False))

    def forward(
        self, outputs_BTO: Tensor, lengths_B: Tensor | None = None, before: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """`(pooled_BO, log_sum_B)` of these steps and, where `before` is what this gave for earlier ones, of those too.
        """
        with torch.autocast(outputs_BTO.device.type, enabled=False):  # sums over a sequence, carried from part to part
            return self._pool(outputs_BTO.to(next(self.parameters()).dtype), lengths_B, before)

    def _pool(
        self, outputs_BTO: Tensor, lengths_B: Tensor | None, before: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, Tensor]:
        score_BT = self.score(outputs_BTO).squeeze(2)
        if lengths_B is not None:
            padded_BT = ~padding.alive(lengths_B, score_BT.shape[1])
            score_BT = score_BT.masked_fill(padded_BT, -torch.inf)
            outputs_BTO = outputs_BTO.masked_fill(padded_BT.unsqueeze(2), 0.0)
        log_sum_B = score_BT.logsumexp(1)
        pooled_BO = torch.einsum("bt,bto->bo", (score_BT - log_sum_B[:, None]).exp(), outputs_BTO)
        if before is None:
            return pooled_BO, log_sum_B
        earlier_BO, earlier_B = before
        share_B1 = (log_sum_B - earlier_B).sigmoid().unsqueeze(1)  # e^L / (e^L + e^(L before))
        return torch.lerp(earlier_BO, pooled_BO, share_B1), torch.logaddexp(log_sum_B, earlier_B)
