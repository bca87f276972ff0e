"""Where the pairs come from: the catalogue's verses, a published set in a folder, or any parallel files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from gatesweep.data.fetch import Dataset
from gatesweep.errors import DataError
from gatesweep.tasks.translation.config import TranslationData
from gatesweep.tasks.translation.interim import read_parallel, user_folder
from gatesweep.tasks.translation.pairs import Pairs, cleaned

Split = Mapping[str, Pairs]


def open_data(data: TranslationData, say: Callable[[str], None]) -> Dataset:
    """The set, verified, or the user's folder."""
    return user_folder(str(data.path))


def read(dataset: Dataset, data: TranslationData) -> tuple[dict[str, Pairs], list[str]]:
    """Train, val and test of the training's own data, and lines for the log.

    Raises:
        DataError: a file that is missing or cannot be paired.
    """
    files = read_folder(dataset.path, data)
    for split in ("train", "val"):
        if split not in files:
            raise DataError(f"no {split} files", place=str(dataset.path),
                            hint=f"it is told by {split}.{data.languages[0]} and {split}.{data.languages[1]}")
    test, notes = _test_of(files, data, str(dataset.path))
    return {"train": files["train"], "val": files["val"], "test": test}, notes


def read_folder(folder: Path, data: TranslationData) -> dict[str, Pairs]:
    """Every pair of files in a folder, by the name before the language.

    Raises:
        DataError: see `cleaned`.
    """
    found = read_parallel(folder, *data.languages)
    return {name: cleaned(a, b, split=name, place=str(folder)) for name, (a, b) in found.items()}


def _test_of(files: Mapping[str, Pairs], data: TranslationData, place: str) -> tuple[Pairs, list[str]]:
    tests = sorted(name for name in files if name.startswith("test"))
    if data.test in files:
        return files[data.test], [f"test: the files {data.test}"]
    if data.test == "test" and not tests:
        return files["val"], ["test: there are no test files; val stands in, so test/… are numbers of val"]
    if data.test == "test" and len(tests) == 1:
        return files[tests[0]], [f"test: the files {tests[0]}"]
    raise DataError(f"which test files? there are {', '.join(tests) or 'none'}", place=place,
                    hint="name one as data.test")
