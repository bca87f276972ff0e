"""Tables of texts: every field as it is written, and what is wrong with a file in words for its owner."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ..errors import DataError
from .catalogue import nearest

OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}


def read_texts(text: str, place: Path, *, hint: str) -> pd.DataFrame:
    """The rows of a CSV file with a header; a field that lacks at the end of a row is NaN.

    Args:
        text: the file's.
        place, hint: of errors.

    Raises:
        DataError: no table, or rows with more fields than the header, which pandas would shift.
    """
    try:
        table = pd.read_csv(io.StringIO(text.removeprefix("\ufeff")), dtype=str, keep_default_na=False)
    except (pd.errors.EmptyDataError, pd.errors.ParserError) as error:
        raise DataError(f"cannot be read as CSV: {csv_trouble(error)}", place=str(place), hint=hint) from error
    if not isinstance(table.index, pd.RangeIndex):
        raise DataError(f"its rows have more fields than the header, which has {len(table.columns)}", place=str(place),
                        hint="a comma within a field wants quotes around it")
    return table


def csv_trouble(error: Exception) -> str:
    """The parser's complaint: which line, and what of it."""
    said = str(error).strip()
    if found := re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", said):
        wanted, line, there = found.groups()
        return f"line {line} has {there} fields, and the lines before it {wanted}"
    if found := re.search(r"EOF inside string starting at row (\d+)", said):
        return f"a quote that opens in row {int(found[1])} (counted without the header) is never closed"
    if "No columns to parse" in said:
        return "it is empty"
    return said.removeprefix("Error tokenizing data. C error: ")


def column_hint(wanted: str, columns: Sequence[str]) -> str | None:
    """What to do where a column is not there: the one that was meant, or the separator."""
    for separator, words in OTHER_SEPARATORS.items():
        if len(columns) == 1 and separator in columns[0]:
            return f"its fields are separated by {words}; commas are read"
    return nearest(wanted, list(columns))
