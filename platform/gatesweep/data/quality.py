"""quality(name): what is wrong with a series, in numbers, before anybody trains on it.

    outliers   values further than 3 interquartile ranges from the middle half (Tukey's outer fences)
    stuck      the longest run of the same value
    foresight  how much each further column tells of the target's future (`foresight`); drift: how far each column has
               wandered between train and the later splits (`drift`)
    leakage    stamps, rows or windows of W steps that two splits share; rows and windows are compared by a 64-bit hash
               of their values (float64, all columns for a row, the target for a window), so that chance hits of a
               coarse series count too
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from . import catalogue
from .drift import Drift, drift
from .fetch import Dataset, ensure
from .foresight import Foresight, foresight
from .readers import Series, load_series
from .scratch import Say
from .splits import split_by_time

WINDOW = 24

Hashes = np.ndarray[Any, np.dtype[np.uint64]]


@dataclass(frozen=True)
class ColumnQuality:
    """One column of the finished series."""

    column: str
    missing: int
    """Values that rows of the file lack."""

    filled: int
    impossible: int
    outliers: int
    stuck: int
    """Rows of the longest run of one value."""

    constant: bool
    least: float
    most: float


@dataclass(frozen=True)
class SplitQuality:
    """One split."""

    split: str
    rows: int
    start: str
    end: str


@dataclass(frozen=True)
class Leakage:
    """What an earlier and a later split share."""

    splits: str
    overlapping_time: bool
    shared_rows: int
    shared_windows: int


@dataclass(frozen=True)
class QualityReport:
    """All findings about one series."""

    name: str
    rows_read: int
    rows: int
    duplicates: int
    missing_steps: int
    gaps: int
    longest_gap_steps: int | None
    segments: int
    window: int
    columns: list[ColumnQuality]
    splits: list[SplitQuality]
    leakage: list[Leakage]
    foresight: list[Foresight]
    drift: list[Drift]
    cleaning: dict[str, Any]

    def rows_of_table(self) -> list[tuple[str, str]]:
        """Label and value, for a table of two columns."""
        longest = f", longest {self.longest_gap_steps:,} steps" if self.longest_gap_steps else ""
        head = [("rows read", f"{self.rows_read:,}"), ("rows in the series", f"{self.rows:,}"),
                ("repeated stamps", f"{self.duplicates:,}"), ("missing steps", f"{self.missing_steps:,}"),
                ("gaps kept", f"{self.gaps:,}{longest}"), ("segments", f"{self.segments:,}")]
        columns = [(each.column, f"{each.least:g} … {each.most:g}; missing {each.missing:,}, filled {each.filled:,}, "
                    f"impossible {each.impossible:,}, outliers {each.outliers:,}, "
                    f"longest run of one value {each.stuck:,}"
                    + (" (constant)" if each.constant else "")) for each in self.columns]
        splits = [(each.split, f"{each.rows:,} rows, {each.start} … {each.end}") for each in self.splits]
        leaks = [(f"leakage {each.splits}", f"time {'OVERLAPS' if each.overlapping_time else 'apart'}, "
                  f"{each.shared_rows:,} equal rows, {each.shared_windows:,} equal windows of {self.window}")
                 for each in self.leakage]
        foreseen = [(f"foresight of {each.column}", f"rank correlation {each.correlation:.2f} with what comes"
                     f" {each.steps} step(s) later" + (": IT KNOWS THE FUTURE" if each.suspicious else ""))
                    for each in self.foresight]
        drifts = [(f"drift of {each.column}, {each.split}", f"mean {each.shift:+.2f} deviations, deviation"
                   f" x {each.spread:.2f}, KS {each.ks:.2f}" + (" (shifted)" if each.shifted else ""))
                  for each in self.drift]
        return [*head, *columns, *splits, *leaks, *foreseen, *drifts]

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self)


def quality(name: str, *, series: str | None = None, root: Path | None = None, say: Say | None = None) -> QualityReport:
    """The report on one series of a set, which is fetched if it is missing.

    Raises:
        DataError: as `ensure` and `load_series`.
    """
    dataset: Dataset = ensure(name, root=root, say=say) if say else ensure(name, root=root)
    return quality_of(load_series(dataset, series=series), catalogue.entry(name).splits)


def quality_of(series: Series, shares: catalogue.SplitShares | None = None) -> QualityReport:
    """The report on a series that is already read."""
    ranges = split_by_time(len(series.frame), shares).as_dict()
    report = series.cleaning
    steps = [gap["steps"] for gap in report.gaps if gap["steps"] is not None]
    duplicates = sum(count for rule, count in report.dropped.items() if "repeats" in rule)
    return QualityReport(
        name=series.name, rows_read=report.rows_read, rows=report.rows, duplicates=duplicates,
        missing_steps=report.missing_steps, gaps=len(report.gaps), longest_gap_steps=max(steps, default=None),
        segments=report.segments, window=WINDOW, columns=[_column(series, name) for name in series.frame.columns],
        splits=[_split(series, split, *rows) for split, rows in ranges.items()],
        leakage=_leakage(series, ranges), foresight=foresight_of(series), drift=_drift(series, ranges),
        cleaning=report.as_dict())


def foresight_of(series: Series) -> list[Foresight]:
    """Every covariate and every column known ahead, judged."""
    columns = {name: series.frame[name].to_numpy(dtype="float64") for name in (*series.past, *series.known)}
    return foresight(series.values_N, columns, series.known, series.segments)


def _drift(series: Series, ranges: dict[str, tuple[int, int]]) -> list[Drift]:
    columns = {str(name): series.frame[name].to_numpy(dtype="float64") for name in series.frame.columns}
    train = slice(*ranges["train"])
    found = [drift(name, split, values[train], values[slice(*ranges[split])])
             for name, values in columns.items() for split in ("val", "test")]
    return [each for each in found if each is not None]


def _column(series: Series, name: str) -> ColumnQuality:
    values = series.frame[name].to_numpy(dtype="float64")
    low, high = np.quantile(values, [0.25, 0.75])
    fence = 3 * (high - low)
    outliers = int(((values < low - fence) | (values > high + fence)).sum()) if fence > 0 else 0
    edges = np.flatnonzero(np.concatenate(([True], values[1:] != values[:-1], [True])))
    least, most = float(values.min()), float(values.max())
    return ColumnQuality(str(name), series.cleaning.missing.get(name, 0), series.cleaning.filled.get(name, 0),
                         series.cleaning.impossible.get(name, 0), outliers, int(np.diff(edges).max()), least == most,
                         least, most)


def _split(series: Series, split: str, start: int, stop: int) -> SplitQuality:
    stamps = series.frame.index[start:stop]
    return SplitQuality(split, stop - start, str(stamps[0]), str(stamps[-1]))


def _leakage(series: Series, ranges: dict[str, tuple[int, int]]) -> list[Leakage]:
    rows = _mix(series.frame.to_numpy(dtype="float64").T)
    found = []
    for (early, a), (late, b) in combinations(ranges.items(), 2):
        stamps = series.frame.index
        overlapping = bool(stamps[a[0] : a[1]].max() >= stamps[b[0] : b[1]].min())
        found.append(Leakage(f"{early}-{late}", overlapping, _shared(rows[slice(*a)], rows[slice(*b)]),
                             _shared(_windows(series, *a), _windows(series, *b))))
    return found


def _shared(early: Hashes, late: Hashes) -> int:
    """How many of the later hashes stand among the earlier ones."""
    return int(np.isin(late, early).sum())


def _windows(series: Series, start: int, stop: int) -> Hashes:
    """A hash for each window of the target that lies inside the rows and inside one segment."""
    values = series.values_N
    pieces = [_windows_of(values[max(a, start) : min(b, stop)]) for a, b in series.segments
              if min(b, stop) - max(a, start) >= WINDOW]
    return np.concatenate(pieces) if pieces else np.empty(0, dtype=np.uint64)


def _windows_of(values: np.ndarray[Any, np.dtype[np.float64]]) -> Hashes:
    count = len(values) - WINDOW + 1
    return _mix(np.stack([values[offset : offset + count] for offset in range(WINDOW)]))


def _mix(columns: np.ndarray[Any, np.dtype[np.float64]]) -> Hashes:
    """One 64-bit hash for each column of numbers read downward: shape (K, N) -> (N,)."""
    mixed = np.zeros(columns.shape[1], dtype=np.uint64)
    for part in columns:
        bits = np.ascontiguousarray(part + 0.0).view(np.uint64)  # + 0.0 makes -0.0 and 0.0 one
        mixed = (mixed ^ bits) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    return mixed
