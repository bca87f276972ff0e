"""From checked columns to a series, by declared rules only; whatever a rule drops or fills is counted.

    order of the rules:  duplicates -> since -> leading -> valid -> fill -> split at what is still missing
    step 1h:    rows are laid on the grid of hours; runs of at most `fill_up_to` missing steps are filled,
                longer ones split the series
    step rows:  each row is a step; the series is split where two rows lie further apart than `max_gap`
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from ..errors import DataError
from .account import CleaningReport
from .rules import Rules

Mask = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True)
class Origin:
    """Where a table came from, to name the line of a stamp in a message."""

    path: str
    stamps: pd.DatetimeIndex
    in_file_order: bool = True

    def line(self, stamp: pd.Timestamp, occurrence: int = 0) -> str:
        """`path: line 7` (the header is line 1), or the path alone for a table that was turned."""
        found = np.flatnonzero(self.stamps == stamp)
        return f"{self.path}: line {found[occurrence] + 2}" if self.in_file_order and len(found) else self.path


@dataclass(frozen=True)
class Cleaned:
    """The frame without missing values, its segments (row ranges), which values were filled, and the report."""

    frame: pd.DataFrame
    segments: list[tuple[int, int]]
    filled_NC: Mask
    step: str | None
    report: CleaningReport

    @property
    def filled(self) -> Mask:
        """Which rows' target was filled."""
        return self.filled_NC[:, 0]


def clean(table: pd.DataFrame, rules: Rules, *, step: str, name: str, origin: Origin,
          days: tuple[str, ...] = ()) -> Cleaned:
    """Apply the rules.

    Args:
        table: float64 columns under stamps in the file's order; the first column is the target.
        step: `1h` or the like, `infer`, or `rows`.
        days: flag columns whose one marked row marks its whole day.

    Raises:
        DataError: something in the table needs a rule that is not declared.
    """
    report = CleaningReport(name, rows_read=len(table))
    marked = {column: stamps_of(table[table[column] == 1]).normalize() for column in days}
    there = stamps_of(table)
    table = _impossible(_dropped(table, rules, report, origin), rules, report)
    if table.empty:
        raise DataError("no row is left after the declared rules", place=origin.path, hint=f"dropped: {report.dropped}")
    size = None if step == "rows" else infer_step(stamps_of(table), origin) if step == "infer" else pd.Timedelta(step)
    grid = table if size is None else _on_grid(table, size, report, origin)
    for column, on in marked.items():
        grid[column] = stamps_of(grid).normalize().isin(on).astype("float64")
    full = _filled(grid, rules, report)
    whole = full.notna().all(axis=1).to_numpy()
    _refuse_missing_values(there, full, whole, rules, origin)
    frame = full[whole]
    segments = _segments(frame, whole, size, rules, report)
    report.rows, report.segments = len(frame), len(segments)
    filled = grid.isna().to_numpy()[whole]
    return Cleaned(frame, segments, filled, None if size is None else _step_name(size), report)


def stamps_of(table: pd.DataFrame) -> pd.DatetimeIndex:
    """The index, which is one of stamps."""
    return pd.DatetimeIndex(table.index)


def _dropped(table: pd.DataFrame, rules: Rules, report: CleaningReport, origin: Origin) -> pd.DataFrame:
    stamps = table.index
    back = np.flatnonzero(np.diff(stamps.to_numpy()) < np.timedelta64(0))
    if len(back):
        raise DataError(f"stamps are not sorted: {stamps[back[0] + 1]} follows {stamps[back[0]]}",
                        place=origin.line(stamps[back[0] + 1]), hint="sort the file by its stamps")
    twice = stamps.duplicated(keep="first")
    if twice.any() and rules.duplicates == "refuse":
        first = stamps[twice][0]
        raise DataError(f"{int(twice.sum())} row(s) repeat a stamp, first {first}",
                        place=origin.line(first, occurrence=1),
                        hint="keep one row for each stamp, or declare `data.rules.duplicates: first`")
    _drop(report, "a stamp that repeats (the first kept)", twice)
    table = table[~twice].copy()
    if rules.since is not None:
        early = table.index < pd.Timestamp(rules.since)
        _drop(report, f"before {pd.Timestamp(rules.since):%Y-%m-%d %H:%M}", early)
        table = table[~early].copy()
    if rules.leading == "drop":
        leading = ~table.notna().all(axis=1).cummax().to_numpy()
        _drop(report, "before every column has its first value", leading)
        table = table[~leading].copy()
    return table


def _drop(report: CleaningReport, rule: str, rows: Mask) -> None:
    if rows.any():
        report.dropped[rule] = int(rows.sum())


def _impossible(table: pd.DataFrame, rules: Rules, report: CleaningReport) -> pd.DataFrame:
    report.missing = {str(name): int(count) for name, count in table.isna().sum().items()}
    for name, valid in rules.valid.items():
        if name in table.columns:
            outside = (table[name] < valid.least) | (table[name] > valid.most)
            report.impossible[name] = int(outside.sum())
            table.loc[outside, name] = np.nan
    return table


def infer_step(stamps: pd.DatetimeIndex, origin: Origin) -> pd.Timedelta:
    """The commonest time between two rows, of which all others must be multiples.

    Raises:
        DataError: fewer than two rows, or no such time.
    """
    between = np.diff(stamps.to_numpy().astype("datetime64[ns]")).astype("int64")
    if not len(between):
        raise DataError("one row alone is no series", place=origin.path)
    sizes, counts = np.unique(between, return_counts=True)
    step = sizes[np.argmax(counts)]
    off = np.flatnonzero(between % step)
    if len(off):
        row = int(off[0])
        raise DataError(f"the rows are mostly {pd.Timedelta(step)} apart, but {stamps[row + 1]} follows {stamps[row]}",
                        place=origin.line(stamps[row + 1]),
                        hint="put the rows on one grid, or declare `data.step: rows` if each row is one step")
    return pd.Timedelta(step)


def _on_grid(table: pd.DataFrame, size: pd.Timedelta, report: CleaningReport, origin: Origin) -> pd.DataFrame:
    off = np.flatnonzero((table.index - table.index[0]) % size != pd.Timedelta(0))
    if len(off):
        stamp = table.index[off[0]]
        raise DataError(f"{stamp} is not on the grid of {_step_name(size)} that starts at {table.index[0]}",
                        place=origin.line(stamp), hint="put the rows on one grid, or declare `data.step: rows`")
    grid = pd.date_range(table.index[0], table.index[-1], freq=size, name="time")
    report.missing_steps = len(grid) - len(table)
    return table.reindex(grid)


def _step_name(size: pd.Timedelta) -> str:
    seconds = int(size.total_seconds())
    for unit, length in (("D", 86400), ("h", 3600), ("min", 60)):
        if seconds and seconds % length == 0:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


def _filled(grid: pd.DataFrame, rules: Rules, report: CleaningReport) -> pd.DataFrame:
    if rules.fill == "none":
        return grid
    report.fill = f"{rules.fill}, runs of at most {rules.fill_up_to} step(s)"
    full = grid.copy()
    for name in grid.columns:
        short = _short_runs(grid[name].isna().to_numpy(), rules.fill_up_to)
        if short.any():
            line = grid[name].interpolate("linear") if rules.fill == "linear" else grid[name].ffill()
            full[name] = grid[name].where(~short, line)
            report.filled[str(name)] = int(short.sum())
    return full


def runs_of(mask: Mask) -> np.ndarray[Any, np.dtype[np.int64]]:
    """`[start, stop)` of each run of True, shape (runs, 2)."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], mask, [False])).astype("int8")))
    return edges.reshape(-1, 2).astype("int64")


def _short_runs(missing: Mask, longest: int) -> Mask:
    """Where a run of at most `longest` missing values lies between two known ones."""
    short = np.zeros(len(missing), dtype=bool)
    for start, stop in runs_of(missing):
        short[start:stop] = stop - start <= longest and start > 0 and stop < len(missing)
    return short


def _refuse_missing_values(there: pd.DatetimeIndex, full: pd.DataFrame, whole: Mask, rules: Rules,
                           origin: Origin) -> None:
    """Rows that are there, and still lack a value, are refused unless the rules split at them."""
    if rules.longer == "split":
        return
    lacking = full[~whole]
    lacking = lacking[lacking.index.isin(there)]
    if len(lacking):
        column = lacking.columns[lacking.iloc[0].isna().to_numpy()][0]
        allowed = f"runs of at most {rules.fill_up_to} are filled" if rules.fill_up_to else "no rule fills it"
        raise DataError(f"{len(lacking)} row(s) lack a value, first {column!r} at {lacking.index[0]}; {allowed}",
                        place=origin.line(lacking.index[0]),
                        hint="complete the file, or declare in data.rules `fill: linear` with `fill_up_to`, or "
                             "`longer: split`")


def _segments(frame: pd.DataFrame, whole: Mask, size: pd.Timedelta | None, rules: Rules,
              report: CleaningReport) -> list[tuple[int, int]]:
    stamps = stamps_of(frame)
    between = stamps[1:] - stamps[:-1]
    longest = size if size is not None else pd.Timedelta(rules.max_gap) if rules.max_gap else None
    cuts = np.flatnonzero(between > longest) + 1 if longest is not None else np.empty(0, dtype="int64")
    if size is None:  # rows left out split too
        kept = np.flatnonzero(whole)
        cuts = np.union1d(cuts, np.flatnonzero(np.diff(kept) > 1) + 1)
    return _ranges(stamps, [int(cut) for cut in cuts], size, report)


def _ranges(stamps: pd.DatetimeIndex, cuts: list[int], size: pd.Timedelta | None,
            report: CleaningReport) -> list[tuple[int, int]]:
    report.gaps = [{"after": str(stamps[cut - 1]), "before": str(stamps[cut]),
                    "steps": None if size is None else int((stamps[cut] - stamps[cut - 1]) / size) - 1} for cut in cuts]
    edges = [0, *cuts, len(stamps)]
    return list(pairwise(edges)) if len(stamps) else []
