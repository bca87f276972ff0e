"""Forecasters by decoder."""

from __future__ import annotations

from torch import nn

from gatesweep.models.forecaster import Forecaster
from gatesweep.models.forecaster_config import ForecastModel
from gatesweep.models.segments import SegmentForecaster
from gatesweep.models.step_forecaster import StepForecaster

_BY_DECODER: dict[str, type[Forecaster | SegmentForecaster | StepForecaster]] = {
    "direct": Forecaster, "segments": SegmentForecaster, "attention": StepForecaster, "recursive": StepForecaster,
}  # fmt: skip


def build_forecaster(config: ForecastModel, past_size: int, future_size: int, horizon: int, targets: int) -> nn.Module:
    """The forecaster that a configuration describes, with `config.parameters_a_step` numbers of each target.

    Args: see `Forecaster`.
    """
    if config.decoder in ("direct", "segments"):
        return _BY_DECODER[config.decoder](config, past_size, future_size, horizon, targets * config.parameters_a_step)
    return StepForecaster(config, past_size, future_size, horizon, targets)
