"""JSB Chorales and its sister sets in the layouts that they are published in.

    .json    {"train": [piece, …], "valid": […], "test": […]}, a piece a list of frames, a frame a list of MIDI numbers
    .mat     traindata, validdata, testdata: cells, each a piano roll of 0 and 1, [T, 88], its first column note 21

Boulanger-Lewandowski, Bengio & Vincent, ICML 2012, published the sets; their pickles are not read, since a pickle runs
what it likes. A .mat is read by scipy, which runs nothing; files of MATLAB 7.3 (HDF5) are refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import DataError
from .rolls import NOTES, Account, Music, OutOfRange, Piece, piece_of, settled

KNOWN: dict[str, dict[str, int]] = {
    "jsb": {"train": 229, "val": 76, "test": 77},
    "nottingham": {"train": 694, "val": 173, "test": 170},
    "musedata": {"train": 524, "val": 135, "test": 124},
    "piano-midi": {"train": 87, "val": 12, "test": 25},
}
"""Pieces of each split, as published."""

SPLITS = {"train": ("train", "traindata"), "val": ("valid", "val", "validdata"), "test": ("test", "testdata")}
ENDINGS = (".json", ".mat")


def read_published(path: Path, *, name: str | None = None, out_of_range: OutOfRange = "refuse") -> Music:
    """One file with the splits that it has.

    Args:
        name: a published set, whose counts must hold for the splits that are there.

    Raises:
        DataError: another layout, damaged, a number that is no note, or other counts than published.
    """
    raw = _json(path) if path.suffix == ".json" else _mat(path)
    parts, accounts = {}, {}
    for split, keys in SPLITS.items():
        there = [key for key in keys if key in raw]
        if len(there) > 1:
            raise DataError(f"has both '{there[0]}' and '{there[1]}'", place=str(path))
        if not there:
            continue
        account = accounts[split] = Account(split, "pieces")
        where = f"{path}: {there[0]}"
        read = _frames if path.suffix == ".json" else _rolls
        pieces = [_named(piece, there[0]) for piece in read(raw[there[0]], where, account, out_of_range)]
        _check_count(name, split, len(pieces), str(path))
        parts[split] = settled(split, pieces, account)
    if not parts:
        raise DataError("has no 'train', 'valid' or 'test'", place=str(path),
                        hint=f"there is: {', '.join(sorted(map(str, raw))[:6]) or 'nothing'}")
    return Music(parts, accounts)


def _check_count(name: str | None, split: str, count: int, place: str) -> None:
    wanted = KNOWN.get(name or "", {}).get(split)
    if wanted is not None and wanted != count:
        raise DataError(f"{count:,} pieces in {split}, and {name} has {wanted:,}", place=place,
                        hint="without `name` the file is read as what it is")


def _named(piece: Piece, key: str) -> Piece:
    """`train[3]` rather than the whole path, once nothing can go wrong any more."""
    return Piece(key + "[" + piece.name.rpartition("[")[2], piece.roll_TK)


def _json(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}", place=str(path)) from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"is no sound JSON: {error}", place=str(path)) from error
    if not isinstance(found, dict):
        raise DataError("is no mapping of 'train', 'valid' and 'test'", place=str(path))
    return found


def _frames(pieces: Any, where: str, account: Account, out_of_range: OutOfRange) -> list[Piece]:
    """Lists of chords as MIDI numbers."""
    if not isinstance(pieces, list):
        raise DataError(f"is {_kind(pieces)}, not a list of pieces", place=where)
    found = []
    for number, piece in enumerate(pieces):
        place = f"{where}[{number}]"
        if not isinstance(piece, list):
            raise DataError(f"is {_kind(piece)}, not a list of frames", place=place)
        frames = [_numbers(frame, f"{place}[{step}]") for step, frame in enumerate(piece)]
        found.append(piece_of(place, frames, account, out_of_range))
    return found


def _numbers(frame: Any, place: str) -> list[int]:
    """MIDI numbers; some are published as 67.0."""
    if not isinstance(frame, list):
        raise DataError(f"is {_kind(frame)}, not a list of MIDI numbers", place=place)
    for note in frame:
        if isinstance(note, bool) or not (isinstance(note, int) or (isinstance(note, float) and note.is_integer())):
            raise DataError(f"holds {note!r}, which is no MIDI number", place=place)
    return [int(note) for note in frame]


def _mat(path: Path) -> Mapping[str, Any]:
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    wanted = [key for keys in SPLITS.values() for key in keys]
    try:
        found: dict[str, Any] = loadmat(path, variable_names=wanted)
    except NotImplementedError as error:
        raise DataError("is of MATLAB 7.3 (HDF5)", place=str(path), hint="save it with -v7") from error
    except (MatReadError, ValueError, TypeError, OSError, EOFError, KeyError, IndexError, MemoryError) as error:
        raise DataError(f"is no sound .mat file: {error}", place=str(path)) from error
    return {key: value for key, value in found.items() if not key.startswith("__")}


def _rolls(cells: Any, where: str, account: Account, out_of_range: OutOfRange) -> list[Piece]:
    """Cells of piano rolls; a roll knows no note beyond the piano, whatever `out_of_range` says."""
    if not (isinstance(cells, np.ndarray) and cells.dtype == object):
        raise DataError("is no cell array of piano rolls", place=where)
    return [_roll(roll, f"{where}[{number}]") for number, roll in enumerate(cells.ravel())]


def _roll(roll: Any, place: str) -> Piece:
    if not (isinstance(roll, np.ndarray) and roll.ndim == 2 and roll.shape[1] == NOTES):
        shape: Sequence[int] | str = list(roll.shape) if isinstance(roll, np.ndarray) else _kind(roll)
        raise DataError(f"is {shape}, not frames of {NOTES} notes", place=place)
    if roll.dtype.kind not in "buif" or not np.isin(roll, (0, 1)).all():
        raise DataError("holds other values than 0 and 1", place=place)
    return Piece(place, roll.astype(bool))


def _kind(value: Any) -> str:
    return {dict: "a mapping", list: "a list", str: "text", type(None): "nothing"}.get(type(value), repr(value)[:40])
