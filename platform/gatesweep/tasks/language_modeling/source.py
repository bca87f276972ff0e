"""Lines of each split: from the reviews, a standard set's folder, or a folder of the user's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from gatesweep.data.fetch import Dataset
from gatesweep.errors import DataError

LAYOUTS = {"ptb": "ptb.{}.txt", "wikitext-2": "wiki.{}.tokens"}


def read_folder(folder: Path) -> Mapping[str, Sequence[str]]:
    found: dict[str, list[str]] = {}
    for layout in LAYOUTS.values():
        for split, word in (("train", "train"), ("val", "valid"), ("test", "test")):
            file = folder / layout.format(word)
            if file.is_file():
                found[split] = file.read_text().splitlines()
    if not found:
        raise DataError("no text of a known layout", place=str(folder))
    return found


def dataset_of(path: str | Path, say: Callable[[str], None]) -> Dataset:
    from gatesweep.data import pins

    place = Path(path).resolve()
    md5s = {each.name: pins.md5_of(each) for each in place.iterdir() if each.is_file()}
    return Dataset(place.name, place, pins.digest_of(md5s), 1, tuple(sorted(md5s)))


def of(data, say):
    dataset = dataset_of(data.path, say)
    return dataset, lambda: read_folder(dataset.path)
