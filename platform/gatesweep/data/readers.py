"""load_series: a set of the catalogue, or a user's own CSV, as one clean series.

    series = load_series(ensure("traffic"))
    series.frame["traffic_volume"], series.segments, series.cleaning.lines()

Nothing is mended silently: what no declared rule covers is refused, what a rule drops or fills is counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..errors import DataError
from . import catalogue
from .account import CleaningReport
from .cleaning import Mask, Origin, clean, stamps_of
from .fetch import Dataset
from .rules import Rules, SeriesSpec
from .table import read_table


@dataclass(frozen=True)
class Series:
    """A clean series of N rows."""

    name: str

    frame: pd.DataFrame
    """Target, then covariates: float64 without missing values, under sorted unique stamps."""

    target: str
    past: tuple[str, ...]
    """Covariates known up to now."""

    known: tuple[str, ...]
    """Covariates known ahead."""

    step: str | None
    """The time between two rows, e.g. `1h`; None where each row is a step (trading days)."""

    segments: list[tuple[int, int]]
    """Row ranges `[start, stop)` without a long gap; together they are all rows."""

    filled_N: Mask
    """Which rows' target was filled by a rule."""

    unit: str | None
    cleaning: CleaningReport

    filled_NC: Mask | None = None
    """The same of every column; None where only the target's are told."""

    @property
    def values_N(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """The target's values."""
        return self.frame[self.target].to_numpy(dtype="float64")


def load_series(dataset: Dataset, *, series: str | None = None, target: str | None = None,
                covariates: Sequence[str] | None = None, known: Sequence[str] | None = None,
                time: str | None = None, rules: Rules | None = None) -> Series:
    """Read and clean one series.

    Args:
        dataset: what `ensure` or `user_file` gave.
        series: one of the set's series; by default its first.
        target: by default the catalogue's; a user's file must name it.
        covariates, known: by default the catalogue's; `()` for none.
        time: the column of stamps of a user's file; by default its first column.
        rules: other cleaning rules than the declared ones.

    Raises:
        DataError: a column, stamp or value that is not what it should be; the message names the row.
    """
    if dataset.path.is_file():
        return read_csv(dataset.path, time=time, target=target, past=covariates or (), known=known or (), rules=rules)
    entry = catalogue.entry(dataset.name)
    spec = entry.spec(series)
    label = f"{dataset.name}/{series or next(iter(entry.series))}"
    chosen = target or spec.target
    past = [name for name in spec.past if name != chosen] if covariates is None else list(covariates)
    ahead = [name for name in spec.known if name != chosen and name not in past] if known is None else list(known)
    spec = spec.model_copy(update={"target": chosen, "past": past, "known": ahead, "rules": rules or spec.rules})
    return read_series(dataset.path / spec.file, spec, label)


def read_csv(path: str | Path, *, target: str | None, time: str | None = None, past: Sequence[str] = (),
             known: Sequence[str] = (), step: str = "infer", time_format: str | None = None,
             rules: Rules | None = None) -> Series:
    """A user's own CSV. Without `rules` nothing is dropped or filled; missing stamps split the series.

    Raises:
        DataError: as `load_series`.
    """
    place = Path(path)
    columns = _header(place)
    if target is None:
        raise DataError("which column is the target?", place=str(path), hint=f"name one of {', '.join(columns[1:])}")
    spec = SeriesSpec(time=[time or columns[0]], time_format=time_format, target=target, past=list(past),
                      known=list(known), step=step, rules=rules or Rules())
    return read_series(place, spec, place.name)


def read_whole_csv(path: str | Path, *, target: str) -> Series:
    """A user's own CSV with every further column as a covariate.

    Raises:
        DataError: as `load_series`.
    """
    _, *columns = _header(Path(path))
    return read_csv(path, target=target, past=[name for name in columns if name != target])


def _header(path: Path) -> list[str]:
    try:
        return [str(name) for name in pd.read_csv(path, nrows=0).columns]
    except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError, OSError, EOFError) as error:
        raise DataError(f"cannot be read as CSV: {error}", place=str(path),
                        hint="one header line, then one row per stamp, separated by commas, UTF-8") from error


def read_series(path: Path, spec: SeriesSpec, label: str) -> Series:
    """Any file read as `spec` declares, e.g. a user's file laid out like a set's.

    Raises:
        DataError: as `load_series`.
    """
    columns = [spec.target, *spec.past, *spec.known]
    twice = next((name for name in columns if columns.count(name) > 1), None)
    if twice or spec.target in spec.time:
        name = twice or spec.target
        raise DataError(f"column {name!r} is named twice among time, target and covariates", place=str(path))
    table = read_table(path, spec, columns)
    days = tuple(name for name, flag in spec.flags.items() if flag.whole_day and name in columns)
    done = clean(table, spec.rules, step=spec.step, name=label, days=days,
                 origin=Origin(str(path), stamps_of(table), in_file_order=spec.pivot is None))
    return Series(label, done.frame, spec.target, tuple(spec.past), tuple(spec.known), done.step, done.segments,
                  done.filled, spec.unit, done.report, done.filled_NC)
