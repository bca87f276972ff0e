"""Heads: from what an encoder remembers to what is asked for.

Shape suffixes: B batch, O summary, F steps of the horizon, C context of a step, E known-future features, Y targets.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gatesweep.errors import ShapeError

CONTEXT_SIZE = 16
HIDDEN_SIZE = 64


class ForecastHead(nn.Module):
    """All steps of the horizon at once (Wen et al. 2017, "A multi-horizon quantile recurrent forecaster", section 3.2).

        context_f  = A_f summary + a_f            one map per step: each looks at the past in its own way
        forecast_f = MLP(context_f, future_f)     one map for all steps: what a rush hour does, it does at any f

    No forecast is fed back, so errors do not pile up along the horizon and every step trains in parallel.
    """

    def __init__(self, summary_size: int, future_size: int, horizon: int, targets: int = 1) -> None:
        super().__init__()
        self.horizon, self.future_size = horizon, future_size
        self.contexts = nn.Linear(summary_size, horizon * CONTEXT_SIZE)
        self.step = nn.Sequential(
            nn.Linear(CONTEXT_SIZE + future_size, HIDDEN_SIZE), nn.ReLU(), nn.Linear(HIDDEN_SIZE, targets)
        )

    def forward(self, summary_BO: Tensor, future_BFE: Tensor) -> Tensor:
        """Forecasts [B, F, Y] from the summary of the past and what is known of each step ahead.

        Raises:
            ShapeError: `future_BFE` is not [B, horizon, future_size].
        """
        expected = (len(summary_BO), self.horizon, self.future_size)
        if tuple(future_BFE.shape) != expected:
            raise ShapeError(f"the known future is {list(future_BFE.shape)}, expected {list(expected)} "
                             "(batch, horizon, features)")
        context_BFC = self.contexts(summary_BO).unflatten(1, (self.horizon, CONTEXT_SIZE))
        forecast_BFY: Tensor = self.step(torch.cat([context_BFC, future_BFE], dim=2))
        return forecast_BFY
