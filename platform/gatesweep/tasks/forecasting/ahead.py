"""The forecast that nobody can score yet: from the last row of a series on.

The series is made longer by the horizon's rows. Of these the model reads the clock and what is known ahead alone; their
targets and covariates hold the last known value, which no window's past reaches.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch

from gatesweep.data.readers import Series
from gatesweep.errors import DataError
from gatesweep.tasks.forecasting import scored
from gatesweep.tasks.forecasting.loaders import in_order
from gatesweep.tasks.forecasting.module import ForecastModule
from gatesweep.tasks.forecasting.prepare import prepare


def ahead(module: ForecastModule, series: Series, future: pd.DataFrame | None = None) -> pd.DataFrame:
    """The steps after the last row of `series`.

    Args:
        future: the columns that are known ahead, under the stamps of the horizon; none where there is no such column.

    Returns:
        As `scored.table`, without truth: origin, step, time, (series,) forecast, and a column for each level.

    Raises:
        DataError: too few rows since the last gap, or a known column without its values ahead.
    """
    data, rows = module.data, len(series.frame)
    needed, start = data.lookback + data.differenced, series.segments[-1][0]
    if rows - start < needed:
        raise DataError(f"the model reads {needed} rows before a forecast, and {rows - start} follow the last gap",
                        place=series.name, hint="a longer series, or rules that fill the gap")
    stamps = _stamps(series, data.horizon, future)
    further = pd.DataFrame(np.repeat(series.frame.to_numpy()[-1:], data.horizon, axis=0), stamps, series.frame.columns)
    for name in data.known:
        further[name] = _known(name, future, stamps, series.name)
    longer = Series(series.name, pd.concat([series.frame, further]), series.target, series.past, series.known,
                    series.step, [*series.segments[:-1], (start, rows + data.horizon)],
                    np.append(series.filled_N, np.ones(data.horizon, dtype=bool)), series.unit, series.cleaning)
    prepared = prepare(longer, data, place=series.name, scaler=module.scaler)
    windows = prepared.windows_at(torch.tensor([rows]))
    return scored.table(module, prepared, in_order(windows, len(windows))).drop(columns="truth")


def _stamps(series: Series, horizon: int, future: pd.DataFrame | None) -> pd.DatetimeIndex:
    """Those of `future`, or the next steps; of trading days the next weekdays."""
    last = series.frame.index[-1]
    if future is not None:
        stamps = naive_utc(pd.DatetimeIndex(future.index))[:horizon]
        rising = len(stamps) == horizon and stamps[0] > last and stamps.is_monotonic_increasing and stamps.is_unique
        if not rising or (series.step is not None and not stamps.equals(_next(last, series.step, horizon))):
            wanted = f"{horizon} rising stamps after {last}" if series.step is None else (
                f"{horizon} rows from {last + pd.Timedelta(series.step)} on, one every {series.step}")  # fmt: skip
            raise DataError(f"the future has {len(future)} rows, from {stamps[0] if len(stamps) else 'nowhere'};"
                            f" wanted are {wanted}", place=series.name)
        return stamps
    if series.step is None:
        return pd.bdate_range(last + pd.Timedelta("1D"), periods=horizon)
    return _next(last, series.step, horizon)


def _next(last: pd.Timestamp, step: str, count: int) -> pd.DatetimeIndex:
    return pd.date_range(last + pd.Timedelta(step), periods=count, freq=pd.Timedelta(step))


def naive_utc(stamps: pd.DatetimeIndex) -> pd.DatetimeIndex:
    """As series are kept: a time zone is turned into UTC, stamps without one stay."""
    return stamps if stamps.tz is None else stamps.tz_convert("UTC").tz_localize(None)


def _known(name: str, future: pd.DataFrame | None, stamps: pd.DatetimeIndex, place: str) -> pd.Series:
    if future is None or name not in future.columns:
        raise DataError(f"column '{name}' is known ahead, and its values over the horizon are not given", place=place,
                        hint="future=DataFrame with its columns, under the stamps of the horizon")
    values = future[name].iloc[: len(stamps)].astype(float)
    if values.isna().any():
        raise DataError(f"column '{name}' lacks a value in the future, first at {values.index[values.isna()][0]}",
                        place=place)
    return values
