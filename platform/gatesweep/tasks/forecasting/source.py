"""Where a task's series comes from: a set of the catalogue, a CSV of the user's, or another file like either."""

from __future__ import annotations

import pandas as pd

from gatesweep.data import catalogue
from gatesweep.data.cleaning import Origin, clean
from gatesweep.data.fetch import Dataset
from gatesweep.data.readers import Series, load_series, read_csv
from gatesweep.data.table import read_table
from gatesweep.tasks.forecasting.config import ForecastingData


def read(dataset: Dataset, data: ForecastingData) -> Series:
    """The training's own series, cleaned by the declared rules.

    Raises:
        DataError: a column, stamp or value that is not what it should be.
    """
    if data.name is None:
        return read_csv(dataset.path, time=data.time, target=data.target, past=data.covariates, known=data.known,
                        step=data.step or "infer", time_format=data.time_format, rules=data.rules)
    return load_series(dataset, series=data.series, target=data.target, covariates=data.covariates, known=data.known,
                       rules=data.rules)


def read_like(file: Dataset, data: ForecastingData) -> Series:
    """A file laid out like the training's: for a set of the catalogue, like the set's own file, cleaned by its rules.

    Raises:
        DataError: as `read`.
    """
    if data.name is None:
        return read(file, data)
    declared = catalogue.entry(data.name).spec(data.series)
    target, past, known = data.target or declared.target, list(data.covariates), list(data.known)
    spec = declared.model_copy(update={"target": target, "past": past, "known": known})
    rules, columns = data.rules or declared.rules, [target, *past, *known]
    table = read_table(file.path, spec, columns)
    days = tuple(name for name, flag in spec.flags.items() if flag.whole_day and name in columns)
    done = clean(table, rules, step=spec.step, name=file.name, days=days,
                 origin=Origin(str(file.path), pd.DatetimeIndex(table.index), in_file_order=spec.pivot is None))
    return Series(file.name, done.frame, target, tuple(past), tuple(known), done.step, done.segments, done.filled,
                  spec.unit, done.report)
