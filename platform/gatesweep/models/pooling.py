"""One vector out of the outputs of all steps; padded steps have no part in it.

    max        m = max_t h_t                      mean       m = Σ_t h_t / T
    attention  m = Σ_t a_t h_t, a = softmax_t(v · tanh(W h_t + b))     (Yang et al. 2016, equations 5 to 7)
    last       the encoder's own summary          max_mean   [max, mean]       concat  [last, max, mean]

Shape suffixes: B batch, T steps, O outputs, P pooled.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

Kind = Literal["max", "mean", "last", "attention", "max_mean", "concat"]
PARTS: dict[str, tuple[str, ...]] = {"max_mean": ("max", "mean"), "concat": ("last", "max", "mean")}


class Pooling(nn.Module):
    """See the module.

    Args:
        size: of the outputs, O.
    """

    def __init__(self, kind: Kind, size: int) -> None:
        super().__init__()
        self.parts = PARTS.get(kind, (kind,))
        self.output_size = size * len(self.parts)
        self.score = nn.Sequential(nn.Linear(size, size), nn.Tanh(), nn.Linear(size, 1, bias=False)) \
            if "attention" in self.parts else None  # fmt: skip

    def forward(self, outputs_BTO: Tensor, summary_BO: Tensor, lengths_B: Tensor) -> Tensor:
        """`pooled_BP`, P being O for each part."""
        padded_BT1 = (torch.arange(outputs_BTO.shape[1], device=lengths_B.device) >= lengths_B[:, None]).unsqueeze(2)
        pooled = {"max": self._max, "mean": self._mean, "attention": self._attention}
        return torch.cat([summary_BO if part == "last" else pooled[part](outputs_BTO, padded_BT1)
                          for part in self.parts], dim=1)  # fmt: skip

    def _max(self, outputs_BTO: Tensor, padded_BT1: Tensor) -> Tensor:
        return outputs_BTO.masked_fill(padded_BT1, float("-inf")).max(dim=1).values

    def _mean(self, outputs_BTO: Tensor, padded_BT1: Tensor) -> Tensor:
        return outputs_BTO.masked_fill(padded_BT1, 0.0).sum(dim=1) / (~padded_BT1).sum(dim=1)

    def _attention(self, outputs_BTO: Tensor, padded_BT1: Tensor) -> Tensor:
        assert self.score is not None, "attention has its scores"
        weights_BT1 = self.score(outputs_BTO).masked_fill(padded_BT1, float("-inf")).softmax(dim=1)
        return (weights_BT1 * outputs_BTO.masked_fill(padded_BT1, 0.0)).sum(dim=1)
