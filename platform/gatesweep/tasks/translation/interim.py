"""Readers of this branch alone, until the catalogue's are there."""

from __future__ import annotations

import gzip
from pathlib import Path

from gatesweep.data import pins
from gatesweep.data.fetch import Dataset
from gatesweep.errors import DataError


def user_folder(path: str | Path) -> Dataset:
    place = Path(path).resolve()
    md5s = pins.md5s_in(place)
    return Dataset(place.name, place, pins.digest_of(md5s), 0, tuple(sorted(md5s)))


def read_parallel(folder: Path, source: str, target: str) -> dict[str, tuple[list[str], list[str]]]:
    found = {}
    for file in sorted(folder.iterdir()):
        stem = file.name.removesuffix(".gz")
        if stem.endswith("." + source):
            name = stem.removesuffix("." + source)
            other = next(p for p in (folder / f"{name}.{target}", folder / f"{name}.{target}.gz") if p.is_file())
            a, b = _lines(file), _lines(other)
            if len(a) != len(b):
                raise DataError(f"{len(a)} lines beside {len(b)}", place=str(file))
            found[name] = (a, b)
    return found


def _lines(file: Path) -> list[str]:
    opened = gzip.open(file, "rt", encoding="utf-8") if file.suffix == ".gz" else file.open(encoding="utf-8")
    with opened:
        return opened.read().split("\n")[:-1]
