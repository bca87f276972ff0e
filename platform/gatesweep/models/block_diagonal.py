"""A linear map within small groups of units (Beck et al. 2024, xLSTM, figure 11: "block-diagonal projection matrices").

Shape suffixes: G groups, I inputs and O outputs of a group.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

BLOCK = 4


class BlockDiagonal(nn.Module):
    """Groups of `BLOCK` units, or fewer where that does not divide the width; no bias."""

    def __init__(self, width: int) -> None:
        super().__init__()
        block = math.gcd(width, BLOCK)
        self.weight_GOI = nn.Parameter(torch.empty(width // block, block, block))
        nn.init.uniform_(self.weight_GOI, -1 / math.sqrt(block), 1 / math.sqrt(block))  # as torch.nn.Linear

    def forward(self, x: Tensor) -> Tensor:
        """[…, width] -> […, width]."""
        groups, _, block = self.weight_GOI.shape
        return torch.einsum("...gi,goi->...go", x.unflatten(-1, (groups, block)), self.weight_GOI).flatten(-2)
