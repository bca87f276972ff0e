"""read_labelled_csv: a table of texts, each with the name of its class.

Labels are words: `1` and `01` are two classes, and nothing is turned into a number. By declared rules alone:

    empty        drop (default) | refuse      texts without a letter or digit
    duplicates   keep (default) | drop        all but the first text of a key (see `normal`), whatever their labels
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Literal

import pandas as pd

from ...errors import DataError
from ..catalogue import nearest
from ..csv_texts import column_hint, read_texts
from .account import TextAccount
from .lines import oddities, read_text
from .normal import text_key

Empty = Literal["drop", "refuse"]
Duplicates = Literal["keep", "drop"]

KEPT = ("source", "split", "film")
"""Columns of a file that are passed on as they are."""


def read_labelled_csv(path: str | Path, *, text: str = "text", label: str = "label",
                      rename: Mapping[str, str] | None = None, empty: Empty = "drop",
                      duplicates: Duplicates = "keep") -> pd.DataFrame:
    """The columns `text`, `label` and, where the file has them, `KEPT`; `attrs["account"]` is the `TextAccount`.

    Args:
        path: with a header; `.gz` too.
        text, label: what the columns are called in the file.
        rename: label in the file -> label.

    Raises:
        DataError: not such a table, not UTF-8, or a row without label; the message names the row.
    """
    place = Path(path)
    table = read_texts(read_text(place), place,
                       hint='one header line, then `"the text, quoted",label` in each row')
    for name in (text, label):
        if name not in table:
            raise DataError(f"has no column {name!r}: there are {', '.join(map(repr, table.columns))}",
                            place=str(place), hint=column_hint(name, list(table.columns)))
    frame = pd.DataFrame({"text": table[text], "label": table[label].str.strip()})
    for name in KEPT:
        if name in table and name not in (text, label):
            frame[name] = table[name]
    _refuse_rows(frame, place)
    if rename:
        frame["label"] = frame["label"].map(lambda each: rename.get(each, each))
    return settle(frame, place.name, place, empty=empty, duplicates=duplicates)


def _refuse_rows(frame: pd.DataFrame, place: Path) -> None:
    bad = frame["text"].isna() | frame["label"].isna() | (frame["label"] == "")
    if bad.any():
        raise DataError(f"{int(bad.sum()):,} row(s) have no label or lack a field, the first is row "
                        f"{int(bad.argmax()) + 1} (counted without the header)", place=str(place),
                        hint="every row needs a text and a label")
    if frame.empty:
        raise DataError("holds a header and no rows", place=str(place))


def settle(frame: pd.DataFrame, name: str, place: Path, *, empty: Empty = "drop",
           duplicates: Duplicates = "keep") -> pd.DataFrame:
    """Apply the rules to texts with labels, count what they did, and keep the account in `attrs`.

    Raises:
        DataError: an empty text under `refuse`, or no text is left.
    """
    account = TextAccount(name, "texts", read=len(frame), noted=oddities(frame["text"].tolist()))
    keys = frame["text"].map(text_key)
    blank = keys == ""
    if blank.any() and empty == "refuse":
        raise DataError(f"{int(blank.sum()):,} text(s) are empty, the first is row {int(blank.argmax()) + 1}",
                        place=str(place), hint="`empty: drop` leaves them out, and counts them")
    again = keys.duplicated() & ~blank
    account.noted["texts that repeat an earlier one"] = int(again.sum()) if duplicates == "keep" else 0
    account.dropped = {"empty text": int(blank.sum()),
                       "repeats an earlier text": int(again.sum()) if duplicates == "drop" else 0}
    kept = frame[~blank & ~(again & (duplicates == "drop"))].reset_index(drop=True)
    account.kept = len(kept)
    if kept.empty:
        raise DataError("no text is left", place=str(place))
    kept.attrs["account"] = account
    return kept


def refuse_unseen(labels: Collection[str], known: Collection[str], place: str) -> None:
    """Labels that a model was not trained on are refused, with their counts.

    Raises:
        DataError: there are some.
    """
    seen = pd.Series(list(labels), dtype=str).value_counts()
    unseen = {str(name): int(count) for name, count in seen.items() if name not in known}
    if unseen:
        told = ", ".join(f"{name!r} ({count:,} rows)" for name, count in list(unseen.items())[:5])
        raise DataError(f"labels that the training did not have: {told}; it had {', '.join(map(repr, sorted(known)))}",
                        place=place, hint=nearest(next(iter(unseen)), list(known))
                        or "write the labels as the training had them")
