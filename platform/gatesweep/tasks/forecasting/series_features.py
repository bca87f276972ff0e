"""What is read of each of several independent series beside its values: static numbers, and numbers that are learnt.

Shape suffixes: B windows, T past steps, F steps ahead, D and E their features, Y series, S features of a series.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gatesweep.models.forecaster_config import ForecastModel
from gatesweep.tasks.forecasting.config import ForecastingData


class SeriesFeatures(nn.Module):
    """Static numbers (standardised over the series) and an embedding, put beside every step, past and ahead.

    A decoder by segments reads them ahead alone: beside every past step they would be said `segment` times over.
    """

    static_YS: Tensor

    def __init__(self, model: ForecastModel, data: ForecastingData, targets: tuple[str, ...], seed: int) -> None:
        super().__init__()
        static = torch.tensor([data.static[name] for name in targets]) if data.static else torch.zeros(len(targets), 0)
        if static.shape[1]:
            scale = static.std(0, correction=0)
            static = (static - static.mean(0)) / scale.where(scale > 0, 1.0)
        self.register_buffer("static_YS", static.float())
        learnt, self.of_past = model.series_embedding, model.decoder != "segments"
        self.learnt_YS: nn.Parameter | None = None
        if learnt:
            generator = torch.Generator().manual_seed(seed)
            self.learnt_YS = nn.Parameter(torch.randn(len(targets), learnt, generator=generator))
        self.size = static.shape[1] + learnt

    def forward(self, past_BTD: Tensor, future_BFE: Tensor, series_B: Tensor | None) -> tuple[Tensor, Tensor]:
        """Past and future, each step with its series' numbers; past behind its own columns, future before them."""
        if series_B is None:
            series_B = torch.zeros(len(past_BTD), dtype=torch.long, device=past_BTD.device)
        parts = [self.static_YS[series_B], *([self.learnt_YS[series_B]] if self.learnt_YS is not None else [])]
        told_B1S = torch.cat(parts, dim=1).to(past_BTD.dtype).unsqueeze(1)
        future_BFE = torch.cat([told_B1S.expand(-1, future_BFE.shape[1], -1), future_BFE], dim=2)
        if self.of_past:
            past_BTD = torch.cat([past_BTD, told_B1S.expand(-1, past_BTD.shape[1], -1)], dim=2)
        return past_BTD, future_BFE
