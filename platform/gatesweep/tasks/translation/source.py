"""Where the pairs come from: the catalogue's verses, a published set in a folder, or any parallel files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from gatesweep.data.fetch import Dataset, ensure, user_folder
from gatesweep.data.text.account import TextAccount
from gatesweep.data.text.normal import text_key
from gatesweep.data.text.pairs import Pair, Pairs
from gatesweep.data.text.parallel import read_parallel
from gatesweep.data.text.verses import read_verses
from gatesweep.errors import DataError
from gatesweep.tasks.translation.config import EMBEDDED, TranslationData

HELD_OUT = 0.05
"""Share of the verses in val, and in test."""


def open_data(data: TranslationData, say: Callable[[str], None]) -> Dataset:
    """The set, verified, or the user's folder."""
    return ensure(EMBEDDED, say=say) if data.name == EMBEDDED else user_folder(str(data.path))


def read(dataset: Dataset, data: TranslationData) -> tuple[dict[str, Pairs], list[str]]:
    """Train, val and, where there is one, test of the training's own data; and lines for the log.

    Raises:
        DataError: a file that is missing or cannot be paired.
    """
    if data.name == EMBEDDED:
        verses = _turned(read_verses(dataset), data.languages)
        parts, note = _unseen(_shared_out(verses, data.split_by))
        return parts, [*verses.account.lines(), f"verses: shared out by {data.split_by}", note]
    files = read_folder(dataset.path, data, name=data.name)
    for split in ("train", "val"):
        if split not in files:
            raise DataError(f"no {split} files", place=str(dataset.path),
                            hint=f"{split}.{data.languages[0]} and {split}.{data.languages[1]}, .gz or not")
    parts = {"train": files["train"], "val": files["val"]}
    test = _test_of(files, data, str(dataset.path))
    if test is not None:
        parts["test"] = files[test]
    note = "there are no test files: the run is scored on val alone" if test is None else f"test: the files {test}"
    return parts, [*(line for part in parts.values() for line in part.account.lines()), note]


def read_folder(folder: Path, data: TranslationData, *, name: str | None = None) -> dict[str, Pairs]:
    """Every pair of files in a folder, by the name before the language.

    Raises:
        DataError: see `read_parallel`.
    """
    source, target = data.languages
    return read_parallel(folder, source, target, name=name)


def chosen(pairs: Pairs, index: Sequence[int]) -> Pairs:
    """These pairs, in this order."""
    return replace(pairs, pairs=tuple(pairs[i] for i in index))


def some(pairs: Pairs, fraction: float) -> Pairs:
    """A share of the pairs, evenly from the whole."""
    count = max(1, round(fraction * len(pairs)))
    return chosen(pairs, np.linspace(0, len(pairs), count, endpoint=False).astype(int).tolist())


def joined(parts: Sequence[Pairs]) -> Pairs:
    """One after the other."""
    rows = tuple(pair for part in parts for pair in part)
    account = TextAccount("all", "pairs", read=sum(part.account.read for part in parts), kept=len(rows))
    return Pairs(rows, parts[0].languages, account)


def _turned(verses: Pairs, languages: tuple[str, str]) -> Pairs:
    """In the direction that is asked for."""
    if languages == verses.languages:
        return verses
    if languages != verses.languages[::-1]:
        raise DataError(f"has {' and '.join(verses.languages)}, not {' and '.join(languages)}",
                        place="data set 'verses'")
    return replace(verses, languages=languages, pairs=tuple(Pair(b, a, where) for a, b, where in verses))


def _shared_out(verses: Pairs, by: str) -> dict[str, Pairs]:
    """Whole chapters or books to test and val, drawn once and for all, until each has its share; the rest is train.

    A book may be as large as both shares: whoever draws first takes it whole, and the next begins with the next book.
    """
    group_N = [pair.reference.rpartition(":" if by == "chapter" else " ")[0] for pair in verses]
    names = list(dict.fromkeys(group_N))
    drawn = [names[i] for i in np.random.default_rng(0).permutation(len(names))]
    sizes, split_of = Counter(group_N), dict.fromkeys(names, "train")
    for split in ("test", "val"):
        taken = 0
        while drawn and taken < HELD_OUT * len(verses):
            name = drawn.pop(0)
            split_of[name], taken = split, taken + sizes[name]
    return {split: chosen(verses, [i for i, name in enumerate(group_N) if split_of[name] == split])
            for split in ("train", "val", "test")}  # fmt: skip


def _unseen(parts: Mapping[str, Pairs]) -> tuple[dict[str, Pairs], str]:
    """A verse whose source a later split has word for word leaves train and val; and a line for the log."""
    left, seen, gone = dict(parts), set[str](), 0
    for split in ("test", "val", "train"):
        keys = [text_key(pair.source) for pair in parts[split]]
        left[split] = chosen(parts[split], [i for i, key in enumerate(keys) if key not in seen])
        gone += len(keys) - len(left[split])
        seen |= set(keys)
    return left, f"verses: {gone} whose source a later split has word for word are left out of train and val"


def _test_of(files: Mapping[str, Pairs], data: TranslationData, place: str) -> str | None:
    """The name of the test files, before the language."""
    tests = sorted(name for name in files if name.startswith("test"))
    if data.test in files:
        return data.test
    if data.test == "test" and len(tests) <= 1:
        return tests[0] if tests else None
    raise DataError(f"which test files? there are {', '.join(tests) or 'none'}", place=place,
                    hint="name one as data.test")
