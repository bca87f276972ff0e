"""Rotary positions: queries and keys turned by an angle for each step, so that their product knows only the distance
(Su et al. 2021, "RoFormer: Enhanced Transformer with rotary position embedding", section 3.2.2, equation 34).

    θ_j = 10000^(-2j / E)      (x_j, x_(j + E/2)) <- turned by t θ_j,      j = 0 … E/2 - 1

Which pairs are turned together is a matter of naming units; here, as most libraries do, one of each half.
No table: any length works. Shape suffixes: S steps, E units of a head, J E/2 pairs.
"""

from __future__ import annotations

import torch
from torch import Tensor

BASE = 10000.0


class Turns:
    """The angles of steps 0 … S - 1."""

    def __init__(self, steps: int, units: int, like: Tensor) -> None:
        exact = torch.promote_types(like.dtype, torch.float32)  # t θ grows with t
        theta_J = BASE ** (-torch.arange(0, units, 2, dtype=exact, device=like.device) / units)
        angle_SJ = torch.arange(steps, dtype=exact, device=like.device)[:, None] * theta_J
        self.cos_SJ, self.sin_SJ = angle_SJ.cos().to(like.dtype), angle_SJ.sin().to(like.dtype)

    def turn(self, x_SE: Tensor, first: int = 0) -> Tensor:
        """[…, S', E] turned, its steps counted from `first`."""
        steps = slice(first, first + x_SE.shape[-2])
        cos_SJ, sin_SJ = self.cos_SJ[steps], self.sin_SJ[steps]
        a_SJ, b_SJ = x_SE.chunk(2, -1)
        return torch.cat([a_SJ * cos_SJ - b_SJ * sin_SJ, b_SJ * cos_SJ + a_SJ * sin_SJ], -1)
