"""The forecaster: a recurrent encoder reads the past, a head answers for every step ahead at once.

Shape suffixes: B batch, T past steps, D past features, F steps of the horizon, E known-future features, Y targets.
"""

from __future__ import annotations

from torch import Tensor, nn

from gatesweep.models.config import ModelConfig
from gatesweep.models.encoders import build_encoder
from gatesweep.models.heads import ForecastHead


class Forecaster(nn.Module):
    """Past and known future in, forecasts out, all in standardised units.

    Args:
        past_size: features of each past step, D: the target's own past among them.
        future_size: features known ahead of each step of the horizon, E (calendar, holidays); may be 0.
        horizon: steps ahead, F.
        targets: series that are forecast together, Y.
    """

    def __init__(
        self, config: ModelConfig, past_size: int, future_size: int, horizon: int, targets: int = 1
    ) -> None:
        super().__init__()
        self.encoder = build_encoder(config, past_size)
        self.head = ForecastHead(self.encoder.output_size, future_size, horizon, targets)
        self.targets = targets

    def forward(self, past_BTD: Tensor, future_BFE: Tensor) -> Tensor:
        """`forecast_BF`, or `forecast_BFY` where there are several targets.

        Raises:
            ShapeError: sizes that do not fit, or an empty past.
        """
        forecast_BFY: Tensor = self.head(self.encoder(past_BTD).summary_BO, future_BFE)
        return forecast_BFY.squeeze(2) if self.targets == 1 else forecast_BFY
