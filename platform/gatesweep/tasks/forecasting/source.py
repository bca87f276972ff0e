"""Where a task's series comes from: a set of the catalogue, a CSV of the user's, or another file like either."""

from __future__ import annotations

import pandas as pd

from gatesweep.data import catalogue
from gatesweep.data.cleaning import Origin, clean
from gatesweep.data.fetch import Dataset
from gatesweep.data.readers import Series, load_series, read_csv
from gatesweep.data.table import read_table
from gatesweep.errors import DataError
from gatesweep.tasks.forecasting.config import ETT, ForecastingData

ETT_COLUMNS = ("HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT")
ETT_ROWS = {"1h": 17_420, "15min": 69_680}
MONTH_DAYS = 30


def read(dataset: Dataset, data: ForecastingData) -> Series:
    """The training's own series, cleaned by the declared rules.

    Raises:
        DataError: a column, stamp or value that is not what it should be.
    """
    if data.name == ETT:
        return _read_ett(dataset, data)
    target, past = data.targets[0] if data.targets else data.target, (*data.targets[1:], *data.covariates)
    if data.name is None:
        return read_csv(dataset.path, time=data.time, target=target, past=past, known=data.known,
                        step=data.step or "infer", time_format=data.time_format, rules=data.rules)
    return load_series(dataset, series=data.series, target=target, covariates=past, known=data.known, rules=data.rules)


def targets_of(data: ForecastingData, series: Series) -> tuple[str, ...]:
    """The columns that are forecast."""
    if data.name == ETT and not data.target and not data.targets:
        return ETT_COLUMNS
    return data.targets or (series.target,)


def _read_ett(dataset: Dataset, data: ForecastingData) -> Series:
    """A file of the ETT set (Zhou et al. 2021), whose columns and rows must be the published ones."""
    targets = (data.target,) if data.target else data.targets or ETT_COLUMNS
    series = read_csv(dataset.path, time="date", target=targets[0], past=(*targets[1:], *data.covariates),
                      known=data.known)
    expected = ETT_ROWS.get(series.step or "")
    if expected is None or len(series.frame) != expected:
        raise DataError(f"{len(series.frame):,} rows, {series.step} apart, are not a file of ETT: ETTh1 and ETTh2 have"
                        f" {ETT_ROWS['1h']:,} hours, ETTm1 and ETTm2 {ETT_ROWS['15min']:,} quarters of an hour",
                        place=str(dataset.path), hint="for any other file leave data.name out and name data.targets")
    return series


def ett_rows(series: Series) -> dict[str, tuple[int, int]]:
    """`[start, stop)` of train, val and test: 12, 4 and 4 months of 30 days (Zhou et al. 2021, section 5.1)."""
    month = MONTH_DAYS * 24 * (1 if series.step == "1h" else 4)
    return {"train": (0, 12 * month), "val": (12 * month, 16 * month), "test": (16 * month, 20 * month)}


def read_like(file: Dataset, data: ForecastingData) -> Series:
    """A file laid out like the training's: for a set of the catalogue, like the set's own file, cleaned by its rules.

    Raises:
        DataError: as `read`.
    """
    if data.name is None or data.name == ETT:
        return read(file, data)
    declared = catalogue.entry(data.name).spec(data.series)
    target, past, known = data.target or declared.target, list(data.covariates), list(data.known)
    if data.targets:
        target, past = data.targets[0], [*data.targets[1:], *past]
    spec = declared.model_copy(update={"target": target, "past": past, "known": known})
    rules, columns = data.rules or declared.rules, [target, *past, *known]
    table = read_table(file.path, spec, columns)
    days = tuple(name for name, flag in spec.flags.items() if flag.whole_day and name in columns)
    done = clean(table, rules, step=spec.step, name=file.name, days=days,
                 origin=Origin(str(file.path), pd.DatetimeIndex(table.index), in_file_order=spec.pivot is None))
    return Series(file.name, done.frame, target, tuple(past), tuple(known), done.step, done.segments, done.filled,
                  spec.unit, done.report, done.filled_NC)
