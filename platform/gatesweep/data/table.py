"""From a file to checked columns: stamps, numbers, flags. Nothing is mended here; what does not fit is refused by row.

Row numbers in messages are the file's lines, the header being line 1.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import lzma
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..errors import DataError
from .csv_texts import column_hint
from .rules import SeriesSpec

_OPENERS: Mapping[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_OFFSET = r"\d:\d{2}.*(?:Z|[+-]\d{2}:?\d{2})$"
_NO_VALUE = ("", "NaN", "nan", "NA", "null")
_STAMP_HINT = "stamps must be ISO 8601 (2024-01-31 13:00); for another form give time_format, e.g. '%d/%m/%Y %H:%M'"


def read_table(path: Path, spec: SeriesSpec, columns: Sequence[str]) -> pd.DataFrame:
    """The named columns as float64 under a DatetimeIndex, in the file's order, missing values as NaN.

    Args:
        path: a CSV file, plain or compressed.
        columns: target and covariates; with a pivot, names found in its key column.

    Raises:
        DataError: the file cannot be read, or a column, stamp or number in it is not what it should be.
    """
    wanted = [spec.pivot.key, spec.pivot.value] if spec.pivot else list(columns)
    raw = _read_csv(path, [*spec.time, *wanted], spec)
    stamps = _stamps(raw, spec, path)
    if spec.pivot:
        return _pivoted(raw, stamps, spec.pivot.key, spec.pivot.value, columns, path)
    numbers = {name: _numbers(raw[name], spec, path) for name in columns}
    return pd.DataFrame(numbers, index=stamps, columns=list(columns), dtype="float64")


def _read_csv(path: Path, columns: list[str], spec: SeriesSpec) -> pd.DataFrame:
    try:
        _refuse_missing_columns(_refuse_ragged(path), columns, path)
        na_values = {name: [*_NO_VALUE, *spec.na_values] for name in columns if name not in spec.flags}
        as_text = {name: "str" for name in (*spec.time, *spec.flags) if name in columns}
        raw = pd.read_csv(path, usecols=lambda name: name in set(columns), dtype=as_text, low_memory=False,
                          keep_default_na=False, na_values={**na_values, **{name: [""] for name in spec.time}})
    except (pd.errors.ParserError, csv.Error, ValueError, OSError, EOFError) as error:
        raise DataError(f"cannot be read as CSV: {str(error).strip()}", place=str(path),
                        hint="one header line, then one row per stamp, separated by commas, UTF-8") from error
    if raw.empty:
        raise DataError("there is no row below the header", place=str(path))
    return raw


def _refuse_ragged(path: Path) -> list[str]:
    """The header, where every row has as many fields as it: pandas drops what is too much, or shifts the row."""
    with _OPENERS.get(path.suffix, open)(path, "rt", encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file)
        header = next((row for row in rows if row), [])
        if not header:
            raise pd.errors.EmptyDataError("it is empty")
        twice = [name for name, count in Counter(header).items() if count > 1]
        if twice:
            raise DataError(f"has {Counter(header)[twice[0]]} columns of the name {twice[0]!r}", place=str(path))
        for row in rows:
            if row and len(row) != len(header):
                raise DataError(f"has {len(row)} fields, and the header has {len(header)}",
                                place=f"{path}: line {rows.line_num}", hint="a comma within a field wants quotes")
    return header


def _refuse_missing_columns(header: list[str], columns: Sequence[str], path: Path) -> None:
    for name in columns:
        if name not in header:
            raise DataError(f"no column {name!r}: there are {', '.join(map(str, header))}", place=str(path),
                            hint=column_hint(name, [str(each) for each in header]))


def _stamps(raw: pd.DataFrame, spec: SeriesSpec, path: Path) -> pd.DatetimeIndex:
    try:
        stamps = _parsed(raw, spec)
    except ValueError as error:
        raise DataError(f"column {spec.time[0]!r}: {error}", place=str(path),
                        hint="write every stamp in the same time zone") from error
    bad = np.flatnonzero(stamps.isna())
    if len(bad):
        values = raw[spec.time].iloc[bad[0]]
        shown = "no stamp" if values.isna().any() else f"not a stamp: {' '.join(values)!r}"
        raise DataError(f"{shown} in column {spec.time[0]!r}", place=f"{path}: line {bad[0] + 2}", hint=_STAMP_HINT)
    index = pd.DatetimeIndex(stamps, name="time")
    return index if index.tz is None else index.tz_convert("UTC").tz_localize(None)


def _parsed(raw: pd.DataFrame, spec: SeriesSpec) -> Any:
    """Stamps, NaT where the text is none. In two columns each text repeats often, and is parsed once."""
    if len(spec.time) == 1:
        texts = raw[spec.time[0]]
        offsets = bool(texts.str.contains(_OFFSET, na=False).all()) and spec.time_format is None
        return pd.to_datetime(texts, format=spec.time_format or "ISO8601", errors="coerce", utc=offsets)
    parts = zip(spec.time, (spec.time_format or "").split(" "), strict=True)
    day, clock = (_parsed_once(raw[name], form) for name, form in parts)
    return day + (clock - pd.Timestamp("1900-01-01"))  # strptime's date where a format has none


def _parsed_once(column: pd.Series, form: str) -> pd.DatetimeIndex:
    codes, texts = pd.factorize(column)
    stamps = pd.DatetimeIndex(pd.to_datetime(texts, format=form, errors="coerce"))
    padded = pd.DatetimeIndex(stamps.append(pd.DatetimeIndex([pd.NaT])))
    return padded[codes]  # code -1: no text, the NaT at the end


def _numbers(column: pd.Series, spec: SeriesSpec, path: Path) -> np.ndarray[Any, Any]:
    flag = spec.flags.get(str(column.name))
    if flag is not None:
        return (column != flag.absent).to_numpy(dtype="float64")
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype="float64")
    bad = np.flatnonzero(np.isinf(numbers) | (np.isnan(numbers) & column.notna().to_numpy()))
    if len(bad):
        raise DataError(f"not a number in column {column.name!r}: {column.iloc[bad[0]]!r}",
                        place=f"{path}: line {bad[0] + 2}",
                        hint=_number_hint(str(column.iloc[bad[0]])))
    return numbers


def _number_hint(text: str) -> str:
    if re.fullmatch(r"[-+]?[\d.]*,\d+", text):
        return "numbers have a decimal point, and no separator of thousands"
    return "a word that means a missing value must be taken out: leave the field empty"


def _pivoted(raw: pd.DataFrame, stamps: pd.DatetimeIndex, key: str, value: str, columns: Sequence[str],
             path: Path) -> pd.DataFrame:
    names = [str(each) for each in raw[key].unique()]
    _refuse_missing_columns(names, columns, path)
    long = pd.DataFrame({"time": stamps, "name": raw[key].to_numpy(), "value": raw[value].to_numpy(dtype="float64")})
    twice = np.flatnonzero(long.duplicated(["time", "name"]))
    if len(twice):
        row = long.iloc[twice[0]]
        raise DataError(f"{row['name']} comes twice at {row['time']}", place=f"{path}: line {twice[0] + 2}")
    wide = long.pivot(index="time", columns="name", values="value").sort_index()
    wide.columns.name = None
    return wide[list(columns)].astype("float64")
