"""From a cleaned series to a table, splits and windows, checked. Kept for the process: a sweep trains on it many times.

Letters: N rows, Y targets, C scaled columns (targets, their changes, which of them were measured, covariates, known), D
columns of the table (C and the calendar's), W windows.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from gatesweep.config.digest import digest
from gatesweep.config.loader import did_you_mean
from gatesweep.errors import DataError
from gatesweep.tasks.forecasting import baselines, calendar
from gatesweep.tasks.forecasting.config import ETT, ForecastingData, Splits
from gatesweep.tasks.forecasting.metrics import naive_error_of
from gatesweep.tasks.forecasting.source import ett_rows, targets_of
from gatesweep.tasks.forecasting.units import Floats, Scaler, change, to_learnt
from gatesweep.tasks.forecasting.windows import Windows, origins

if TYPE_CHECKING:
    from gatesweep.data.readers import Series

SPLITS = ("train", "val", "test")
KEPT = 4
_cache: OrderedDict[str, Prepared] = OrderedDict()


@dataclass(frozen=True)
class Prepared:
    """One series or several, ready to be learnt from. Shared between trainings of a process: nobody writes to it."""

    data: ForecastingData
    series: Series
    targets: tuple[str, ...]

    own_NY: Floats
    """The targets in their own units."""

    values_NY: Floats
    """The targets in the units of the scores."""

    table_ND: Tensor
    """Scaled targets, their changes, which were filled (where that is masked), covariates, known columns, calendar;
    float32."""

    scaler: Scaler
    borders: dict[str, tuple[int, int]]
    place: str
    """Names the data in messages."""

    @property
    def known(self) -> int:
        """How many of the table's last columns are known ahead."""
        return len(self.data.known) + calendar.columns(self.data.calendar, self.data.harmonics)

    @property
    def values_N(self) -> Floats:
        """The first target, in the units of the scores."""
        return self.values_NY[:, 0]

    @property
    def independent(self) -> bool:
        """Whether a window is one of several series."""
        return len(self.targets) > 1 and self.data.channels == "independent"

    @property
    def outputs(self) -> int:
        """Targets that the network forecasts at once."""
        return 1 if self.independent else len(self.targets)

    @property
    def past_size(self) -> int:
        """Columns that a window's past has."""
        return int(self.table_ND.shape[1] if self.columns_YD is None else self.columns_YD.shape[1])

    @cached_property
    def columns_YD(self) -> Tensor | None:
        """The table's columns that each of several independent series reads; none where all are read."""
        if not self.independent:
            return None
        count, lags = len(self.targets), len(self.data.changes)
        shared = count * (1 + lags + self.masked)
        rest = list(range(shared, self.table_ND.shape[1]))
        own = [[each, *(count + each * lags + lag for lag in range(lags)),
                *([count * (1 + lags) + each] if self.masked else [])] for each in range(count)]
        return torch.tensor([[*columns, *rest] for columns in own])

    @property
    def masked(self) -> bool:
        """Whether the model reads which values were filled in."""
        return self.data.missing == "masked"

    @cached_property
    def truth_NY(self) -> Floats:
        """`values_NY`, NaN where cleaning filled it in: what a forecast may be held against."""
        return np.where(filled_of(self.series, self.targets), np.nan, self.values_NY)

    @property
    def truth_N(self) -> Floats:
        """Of the first target."""
        return self.truth_NY[:, 0]

    @cached_property
    def naive_error(self) -> float:
        """MASE's denominator, from the training rows: of several targets their mean."""
        errors = [naive_error_of(column_N, self.series.segments, self.borders["train"][1], self.data.seasonal[0])
                  for column_N in self.values_NY.T]
        return float(np.mean(errors))

    @cached_property
    def chosen_lag(self) -> int:
        """The seasonal lag that is better on the training windows."""
        return baselines.choose_lag(self.values_NY, self.truth_NY, self.origins("train"), self.data.horizon,
                                    self.data.seasonal)

    def origins(self, split: str) -> Tensor:
        """First forecast row of each window, or of each row's windows, of `train`, `val`, `test` or `all`.

        Raises:
            DataError: the split has no window; the message holds the lengths.
        """
        data, before = self.data, self.data.history + self.data.differenced
        border = (0, len(self.values_N)) if split == "all" else self.borders[split]
        stride = data.stride if split == "train" else data.eval_stride
        found = origins(self.series.segments, border, before=before, horizon=data.horizon, stride=stride)
        if not len(found):
            raise self._too_short(split, border, before)
        return found[-max(1, round(data.fraction * len(found))) :] if split == "train" else found

    def windows(self, split: str) -> Windows:
        """The windows of a split."""
        return self.windows_at(self.origins(split))

    def windows_at(self, origin_W: Tensor) -> Windows:
        """The windows that begin at these rows."""
        return Windows(self.table_ND, self.values_NY, self.truth_NY, origin_W, lookback=self.data.lookback,
                       horizon=self.data.horizon, known=self.known, columns_YD=self.columns_YD)

    def _too_short(self, split: str, border: tuple[int, int], before: int) -> DataError:
        longest, horizon = max(stop - start for start, stop in self.series.segments), self.data.horizon
        return DataError(f"'{split}' has no window: {before} rows of history and a horizon of {horizon} are"
                         f" {before + horizon} rows in a stretch without a long gap, the horizon inside the split;"
                         f" the longest stretch has {longest} rows, '{split}' has {border[1] - border[0]}",
                         place=self.place,
                         hint="a shorter data.lookback, data.horizon or data.seasonal, or other data.splits")


def prepare(series: Series, data: ForecastingData, *, place: str, scaler: Scaler | None = None) -> Prepared:
    """Check a series and lay it out.

    Args:
        scaler: that of an earlier training; none fits one on the rows of train.

    Raises:
        DataError: a missing column or value, a constant target, a stretch too short.
    """
    frame, targets = series.frame, targets_of(data, series)
    _check_columns(frame, [*targets, *data.covariates, *data.known], place)
    borders = ett_rows(series) if data.name == ETT else split_rows(len(frame), data.splits)
    learnt_NC = _learnt(series, data, targets, place)
    if scaler is None:
        train_NC = learnt_NC[: borders["train"][1]]
        for number, target in enumerate(targets):
            _check_varies(train_NC[:, number], target, data, place)
        scaler = Scaler.fit(data.scaler, train_NC)
    scaled_NC = scaler.apply(learnt_NC)
    table_ND = np.concatenate([np.nan_to_num(scaled_NC, nan=0.0),
                               calendar.encode(pd.DatetimeIndex(frame.index), data.calendar, data.harmonics)], axis=1)
    own_NY = frame[list(targets)].to_numpy(np.float64, copy=True)
    values_NY = own_NY if data.scores == "own" else scaled_NC[:, : len(targets)]
    return Prepared(data=data, series=series, targets=targets, own_NY=own_NY, values_NY=values_NY,
                    table_ND=torch.from_numpy(table_ND).float(), scaler=scaler, borders=borders, place=place)


def _learnt(series: Series, data: ForecastingData, targets: tuple[str, ...], place: str) -> Floats:
    """`learnt_NC`: what is scaled, column by column."""
    def column(name: str) -> Floats:
        return to_learnt(series.frame[name].to_numpy(np.float64), "none" if name in data.known else data.transform,
                         series.segments, place=f"{place}: {name}")

    own = [column(name) for name in targets]
    changes = [change(each, lag, series.segments) for each in own for lag in data.changes]
    masks = list(filled_of(series, targets).T.astype(np.float64)) if data.missing == "masked" else []
    return np.stack([*own, *changes, *masks, *(column(name) for name in (*data.covariates, *data.known))], axis=1)


def filled_of(series: Series, targets: tuple[str, ...]) -> NDArray[np.bool_]:
    """Which values of each target a rule has filled in, `[N, Y]`."""
    if series.filled_NC is None:
        return np.repeat(series.filled_N[:, None], len(targets), axis=1)
    columns = [list(series.frame.columns).index(name) for name in targets]
    return np.stack([series.filled_NC[:, column] for column in columns], axis=1)


def kept(data: ForecastingData, md5: str, load: Callable[[], Prepared]) -> Prepared:
    """What this process has prepared for the same settings and bytes, or what `load` makes now."""
    shaping = data.model_dump(mode="json", exclude={"loss", "residual", "jitter", "horizons", "static"})
    key = digest([shaping, md5])
    if key not in _cache:
        _cache[key] = load()
        while len(_cache) > KEPT:
            _cache.popitem(last=False)
    _cache.move_to_end(key)
    return _cache[key]


def split_rows(rows: int, splits: Splits) -> dict[str, tuple[int, int]]:
    """`[start, stop)` of each split, in the order of time."""
    shares = np.cumsum([0.0, splits.train, splits.val, splits.test])
    ends = np.minimum(np.round(shares * rows), rows).astype(int).tolist()
    return dict(zip(SPLITS, pairwise(ends), strict=True))


def _check_columns(frame: pd.DataFrame, columns: list[str], place: str) -> None:
    for name in columns:
        if name not in frame.columns:
            raise DataError(f"no column '{name}'", place=place, hint=did_you_mean(name, map(str, frame.columns)))
        bad = ~np.isfinite(frame[name].to_numpy(np.float64))
        if bad.any():
            raise DataError(f"column '{name}': {int(bad.sum())} values are missing or infinite, the first at"
                            f" {frame.index[int(bad.argmax())]}", place=place, hint="fill or drop them first")


def _check_varies(train_N: Floats, target: str, data: ForecastingData, place: str) -> None:
    known = train_N[~np.isnan(train_N)]
    if not len(known) or known.min() == known.max():
        what = "its steps are" if data.differenced else "it is"
        raise DataError(f"nothing to learn from column '{target}': {what} constant over the {len(train_N)} rows of"
                        " train", place=place, hint="another data.target, or a larger data.splits.train")
