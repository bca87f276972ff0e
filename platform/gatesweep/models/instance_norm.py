"""What is taken out of every window before the network, and given back to its forecast.

    last    z' = z - z_T                      ẑ = ẑ' + z_T
    mean    z' = z - μ                        ẑ = ẑ' + μ
    revin   z' = γ (z - μ) / σ + β            ẑ = σ (ẑ' - β) / γ + μ         Kim et al. 2022, equations 1 to 3

μ and σ over the past's T steps, of each window and each target for itself; γ, β learnt, one of each target.

Shape suffixes: B batch, T past steps, D past features, of which the first Y are the targets; F steps of the horizon.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

EPSILON = 1e-5
NormName = Literal["none", "last", "mean", "revin"]


class Level(NamedTuple):
    """What was taken out of a window."""

    shift_BY: Tensor
    scale_BY: Tensor


class InstanceNorm(nn.Module):
    """Takes level (and scale) out of the first `targets` columns of a past."""

    def __init__(self, name: NormName, targets: int = 1) -> None:
        super().__init__()
        self.name, self.targets = name, targets
        if name == "revin":
            self.gain_Y, self.bias_Y = nn.Parameter(torch.ones(targets)), nn.Parameter(torch.zeros(targets))

    def forward(self, past_BTD: Tensor) -> tuple[Tensor, Level]:
        """The past without its level, and the level."""
        z_BTY = past_BTD[:, :, : self.targets]
        if self.name == "none":
            zeros_BY = z_BTY.new_zeros(len(z_BTY), self.targets)
            return past_BTD, Level(zeros_BY, zeros_BY + 1)
        shift_BY = z_BTY[:, -1] if self.name == "last" else z_BTY.mean(1)
        scale_BY = torch.ones_like(shift_BY)
        if self.name == "revin":
            scale_BY = (z_BTY.var(1, correction=0) + EPSILON).sqrt()
        level = Level(shift_BY, scale_BY)
        return torch.cat([self.within(z_BTY, level), past_BTD[:, :, self.targets :]], dim=2), level

    def within(self, z_BTY: Tensor, level: Level) -> Tensor:
        """Values as the network sees them."""
        if self.name == "none":
            return z_BTY
        inner_BTY = (z_BTY - level.shift_BY.unsqueeze(1)) / level.scale_BY.unsqueeze(1)
        return inner_BTY * self.gain_Y + self.bias_Y if self.name == "revin" else inner_BTY

    def affine(self, level: Level) -> Level:
        """The map from what the network says to scaled values: `ẑ = scale ẑ' + shift`."""
        if self.name != "revin":
            return level
        gain_Y = self.gain_Y + EPSILON**2  # as the paper's code: a gain of 0 must not divide
        scale_BY = level.scale_BY / gain_Y
        return Level(level.shift_BY - scale_BY * self.bias_Y, scale_BY)
