"""read_transcripts: any folder of .wav files with a `transcripts.csv` that says what is said in each.

    file,text[,speaker][,split]
    a/0001.wav,open the door,anna,train

A line without its file and a file without its line are refused, or dropped and counted, as asked.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pandas as pd

from ...errors import DataError
from ..csv_texts import read_texts
from ..text.lines import read_text
from .recordings import Recording, Recordings, settled

FILE = "transcripts.csv"
SPLITS = ("train", "val", "test")
Unpaired = Literal["refuse", "drop"]


def read_transcripts(folder: str | Path, *, unpaired: Unpaired = "refuse") -> Recordings:
    """Every recording that has a transcript, in the order of the names.

    Raises:
        DataError: no `transcripts.csv`, columns that are missing, a file named twice or outside the folder, an empty
            transcript, an unknown split, or (where `unpaired` is refuse) a half without its other half.
    """
    base = Path(folder)
    table = _table(base)
    there = {path.relative_to(base).as_posix() for path in base.rglob("*.wav")}
    without_sound = [name for name in table["file"] if name not in there]
    without_text = sorted(there - set(table["file"]))
    if unpaired == "refuse":
        _refuse(base / FILE, "transcripts without their file", without_sound)
        _refuse(base / FILE, "files without a transcript", without_text)
    table = table[table["file"].isin(there)]
    if table.empty:
        raise DataError("no transcript has its file", place=str(base / FILE), hint="names count from the folder")
    columns = [table.sort_values("file")[name].astype(str).tolist() for name in ("file", "text", "speaker", "split")]
    rows = [Recording(base / file, " ".join(text.split()), speaker, split=split or None)
            for file, text, speaker, split in zip(*columns, strict=True)]
    return settled(rows, base.name, dropped={"transcripts without their file": len(without_sound),
                                             "files without a transcript": len(without_text)})


def _table(base: Path) -> pd.DataFrame:
    file = base / FILE
    if not file.is_file():
        raise DataError(f"has no {FILE}", place=str(base), hint="a CSV with the columns file and text")
    table = read_texts(read_text(file), file, hint="the head file,text, then a row for each recording")
    missing = [name for name in ("file", "text") if name not in table]
    if missing:
        raise DataError(f"has no column {' and '.join(map(repr, missing))}", place=str(file),
                        hint="file,text and, where they are known, speaker and split")
    for name in ("speaker", "split"):
        table[name] = table[name].str.strip() if name in table else ""
    _check(table, file)
    return table


def _check(table: pd.DataFrame, file: Path) -> None:
    """Rows count from 2, as an editor shows them: the head is row 1."""
    odd = {"is named twice": table["file"].duplicated(),
           "lies outside the folder": table["file"].str.startswith("/") | table["file"].str.contains("..", regex=False),
           "has an empty transcript": table["text"].str.strip() == "",
           f"has a split that is none of {', '.join(SPLITS)}": ~table["split"].isin(["", *SPLITS])}  # fmt: skip
    for what, is_N in odd.items():
        if is_N.any():
            row = int(is_N.to_numpy().argmax())
            raise DataError(f"row {row + 2}: {table['file'].iloc[row]!r} {what}", place=str(file),
                            hint=f"{int(is_N.sum()):,} row(s) in all")
    if (table["split"] == "").any() and (table["split"] != "").any():
        raise DataError("says the split of some rows and not of others", place=str(file),
                        hint="fill the column in, or leave it out")


def _refuse(file: Path, what: str, names: list[str]) -> None:
    if names:
        raise DataError(f"{len(names):,} {what}, first {names[0]!r}", place=str(file),
                        hint="add the other half, or set data.unpaired to drop")
