"""From a cleaned series to a table, splits and windows, checked. Kept for the process: a sweep trains on it many times.

Letters: N rows, C scaled columns (target, its changes, covariates, known), D columns of the table (C and the
calendar's), W windows.
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
from torch import Tensor

from gatesweep.config.digest import digest
from gatesweep.config.loader import did_you_mean
from gatesweep.errors import DataError
from gatesweep.tasks.forecasting import baselines, calendar
from gatesweep.tasks.forecasting.config import ForecastingData, Splits
from gatesweep.tasks.forecasting.metrics import naive_error_of
from gatesweep.tasks.forecasting.units import Floats, Scaler, change, to_learnt
from gatesweep.tasks.forecasting.windows import Windows, origins

if TYPE_CHECKING:
    from gatesweep.data.readers import Series

SPLITS = ("train", "val", "test")
KEPT = 4
_cache: OrderedDict[str, Prepared] = OrderedDict()


@dataclass(frozen=True)
class Prepared:
    """One series, ready to be learnt from. Shared between trainings of a process: nobody writes to it."""

    data: ForecastingData
    series: Series
    values_N: Floats
    """The target in its own units."""

    table_ND: Tensor
    """Scaled target, its changes, covariates, known columns, calendar; float32."""

    scaler: Scaler
    borders: dict[str, tuple[int, int]]
    place: str
    """Names the data in messages."""

    @property
    def known(self) -> int:
        """How many of the table's last columns are known ahead."""
        return len(self.data.known) + calendar.columns(self.data.calendar, self.data.harmonics)

    @cached_property
    def truth_N(self) -> Floats:
        """`values_N`, NaN where cleaning filled it in: what a forecast may be held against."""
        return np.where(self.series.filled_N, np.nan, self.values_N)

    @cached_property
    def naive_error(self) -> float:
        """MASE's denominator, from the training rows."""
        return naive_error_of(self.values_N, self.series.segments, self.borders["train"][1], self.data.seasonal[0])

    @cached_property
    def chosen_lag(self) -> int:
        """The seasonal lag that is better on the training windows."""
        return baselines.choose_lag(self.values_N, self.truth_N, self.origins("train"), self.data.horizon,
                                    self.data.seasonal)

    def origins(self, split: str) -> Tensor:
        """First forecast row of each window of `train`, `val`, `test` or `all`.

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
        return Windows(self.table_ND, self.values_N, self.truth_N, self.origins(split), lookback=self.data.lookback,
                       horizon=self.data.horizon, known=self.known)

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
    frame = series.frame
    columns = [series.target, *data.covariates, *data.known]
    _check_columns(frame, columns, place)
    borders = split_rows(len(frame), data.splits)
    first, *rest = (to_learnt(frame[name].to_numpy(np.float64), "none" if name in data.known else data.transform,
                              series.segments, place=f"{place}: {name}") for name in columns)
    learnt_NC = np.stack([first, *(change(first, lag, series.segments) for lag in data.changes), *rest], axis=1)
    if scaler is None:
        train_NC = learnt_NC[: borders["train"][1]]
        _check_varies(train_NC[:, 0], series.target, data, place)
        scaler = Scaler.fit(data.scaler, train_NC)
    table_ND = np.concatenate([np.nan_to_num(scaler.apply(learnt_NC), nan=0.0),
                               calendar.encode(pd.DatetimeIndex(frame.index), data.calendar, data.harmonics)], axis=1)
    return Prepared(data=data, series=series, values_N=frame[series.target].to_numpy(np.float64, copy=True),
                    table_ND=torch.from_numpy(table_ND).float(), scaler=scaler, borders=borders, place=place)


def kept(data: ForecastingData, md5: str, load: Callable[[], Prepared]) -> Prepared:
    """What this process has prepared for the same settings and bytes, or what `load` makes now."""
    shaping = data.model_dump(mode="json", exclude={"loss", "residual"})
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
