"""One vector out of the outputs of all steps; padded steps have no part in it.

    max        m = max_t h_t                      mean       m = Σ_t h_t / T
    attention  attention_pooling.py                last       the encoder's own summary
    max_mean   [max, mean]                         concat     [last, max, mean]

Shape suffixes: B batch, T steps, O outputs, P pooled.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from gatesweep.models.attention_pooling import AttentionPooling

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
        self.attention = AttentionPooling(size) if "attention" in self.parts else None

    def forward(self, outputs_BTO: Tensor, summary_BO: Tensor, lengths_B: Tensor) -> Tensor:
        """`pooled_BP`, P being O for each part."""
        padded_BT1 = (torch.arange(outputs_BTO.shape[1], device=lengths_B.device) >= lengths_B[:, None]).unsqueeze(2)
        made = []
        for part in self.parts:
            if part == "last":
                made.append(summary_BO)
            elif self.attention is not None:
                made.append(self.attention(outputs_BTO, lengths_B)[0])
            elif part == "max":
                made.append(outputs_BTO.masked_fill(padded_BT1, float("-inf")).max(dim=1).values)
            else:
                made.append(outputs_BTO.masked_fill(padded_BT1, 0.0).sum(dim=1) / (~padded_BT1).sum(dim=1))
        return torch.cat(made, dim=1)
