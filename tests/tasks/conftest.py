"""Series made here, small enough to count by hand; each fixture is a function that makes one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from gatesweep.data.cleaning import CleaningReport
from gatesweep.data.readers import Series
from gatesweep.tasks.forecasting.config import ForecastingData
from gatesweep.tasks.forecasting.module import ForecastModule
from gatesweep.tasks.forecasting.prepare import Prepared, prepare


class LastAndSlope(nn.Module):
    """A network small enough to follow by eye: a line through the past's mean, plus what is known ahead."""

    def __init__(self, past_size: int, future_size: int, horizon: int) -> None:
        super().__init__()
        self.past, self.future = nn.Linear(past_size, horizon), nn.Linear(future_size, 1)

    def forward(self, past_BTD: Tensor, future_BFE: Tensor) -> Tensor:
        return self.past(past_BTD.mean(dim=1)) + self.future(future_BFE).squeeze(2)


def make_series(rows: int = 400, *, segments: list[tuple[int, int]] | None = None, seed: int = 0) -> Series:
    """A daily wave with noise, a covariate and a flag; `segments` are set apart by a week."""
    rng, segments = np.random.default_rng(seed), segments or [(0, rows)]
    hours = np.concatenate([np.arange(start, stop) + 168 * number for number, (start, stop) in enumerate(segments)])
    times = pd.Timestamp("2020-01-06") + pd.to_timedelta(hours, unit="h")
    load = 100 + 30 * np.sin(2 * np.pi * hours / 24) + rng.normal(0, 3, rows)
    columns = {"load": load, "temp": rng.uniform(2, 20, rows), "flag": (hours % 7 == 0).astype(float)}
    frame = pd.DataFrame(columns, index=times)
    return Series("made", frame, "load", ("temp",), ("flag",), "1h", segments, np.zeros(rows, dtype=bool), None,
                  CleaningReport("made", rows_read=rows, rows=rows, segments=len(segments)))


def make_settings(**values: Any) -> ForecastingData:
    """Short windows over `make_series`."""
    return ForecastingData(**{"name": "made", "horizon": 4, "lookback": 12, "seasonal": (6, 24), **values})


def make_prepared(series: Series | None = None, **values: Any) -> Prepared:
    return prepare(series or make_series(), make_settings(**values), place="made")


def make_module(made: Prepared, seed: int = 0) -> ForecastModule:
    """A module over the small network."""
    torch.manual_seed(seed)
    network = LastAndSlope(made.table_ND.shape[1], made.known, made.data.horizon)
    return ForecastModule(network, made.data, made.scaler, made.naive_error)


@pytest.fixture
def hourly() -> Callable[..., Series]:
    return make_series


@pytest.fixture
def settings() -> Callable[..., ForecastingData]:
    return make_settings


@pytest.fixture
def prepared() -> Callable[..., Prepared]:
    return make_prepared


@pytest.fixture
def module_of() -> Callable[..., ForecastModule]:
    return make_module
