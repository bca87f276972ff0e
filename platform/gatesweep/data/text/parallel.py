"""read_parallel: parallel files `SPLIT.LANGUAGE`, with or without `.gz`, whose n-th lines say the same.

Two files of unequal length are refused, always: nobody can tell where they part.
"""

from __future__ import annotations

import re
from pathlib import Path

from ...errors import DataError
from .account import TextAccount
from .lines import read_lines
from .pairs import Empty, Pair, Pairs, settled

KNOWN: dict[str, dict[str, int]] = {
    "multi30k": {"train": 29_000, "val": 1_014, "test_2016_flickr": 1_000, "test_2017_flickr": 1_000,
                 "test_2017_mscoco": 461, "test_2018_flickr": 1_071},
}
"""Pairs of the published parts (D. Elliott et al., VL 2016, WMT 2017 and 2018)."""


def read_parallel(folder: str | Path, source: str = "de", target: str = "en", *, name: str | None = None,
                  empty: Empty = "drop") -> dict[str, Pairs]:
    """Split (`train`, `val`, `test_2016_flickr`, …) -> its pairs.

    Args:
        source, target: the files' last part.
        name: a published set (`multi30k`): its counts must hold for the parts that are there.

    Raises:
        DataError: a language or its other half is missing, unequal lengths, other counts, or as `read_lines`.
    """
    place = Path(folder)
    sources, targets = _files(place, source), _files(place, target)
    alone = sorted(set(sources) ^ set(targets))
    if not sources and not targets:
        raise DataError(f"holds no files of '{source}' and '{target}'", place=str(folder),
                        hint=f"train.{source} and train.{target}, val.{source} …; there are: {_endings(place)}")
    if alone:
        there = (sources | targets)[alone[0]]
        raise DataError(f"is there in one language alone; so are {len(alone)} part(s)", place=str(there),
                        hint=f"'{source}' and '{target}' must have the same parts")
    return {split: _paired(split, (sources[split], targets[split]), (source, target), name, empty)
            for split in sorted(sources, key=_order)}


def _files(folder: Path, language: str) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(folder.glob(f"*.{language}")) + sorted(folder.glob(f"*.{language}.gz")):
        split = path.name.removesuffix(".gz").removesuffix(f".{language}")
        if split in found:
            raise DataError(f"is there twice, as {found[split].name} too", place=str(path), hint="remove one of them")
        found[split] = path
    return found


def _endings(folder: Path) -> str:
    names = sorted({re.sub(r"^[^.]*", "*", path.name) for path in folder.glob("*.*") if path.is_file()})
    return ", ".join(names[:6]) or "none with an ending"


def _order(split: str) -> tuple[int, str]:
    return next((rank for rank, each in enumerate(("train", "val", "test")) if split.startswith(each)), 3), split


def _paired(split: str, files: tuple[Path, Path], languages: tuple[str, str], name: str | None, empty: Empty) -> Pairs:
    left, right = (read_lines(each) for each in files)
    if len(left) != len(right):
        raise DataError(f"{len(left):,} lines against {len(right):,} in {files[1].name}: they cannot be paired",
                        place=str(files[0]), hint="one of them was cut, or holds a line end inside a sentence")
    wanted = KNOWN.get(name or "", {}).get(split)
    if wanted is not None and wanted != len(left):
        raise DataError(f"{len(left):,} lines, and {name} has {wanted:,} in {split}", place=str(files[0]),
                        hint="without `name` the files are read as what they are")
    account = TextAccount(split, "pairs", read=len(left))
    for language, lines in zip(languages, (left, right), strict=True):
        account.noted |= {f"lines of '{language}' {what}": count for what, count in lines.noted.items()}
    pairs = [Pair(a, b, f"line {number}") for number, (a, b) in enumerate(zip(left, right, strict=True), 1)]
    return settled(pairs, languages, account, place=str(files[0]), empty=empty)
