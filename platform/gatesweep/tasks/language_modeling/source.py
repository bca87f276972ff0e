"""Lines of each split: from the reviews, a standard set's folder, or a folder of the user's own."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import NamedTuple

from gatesweep.data.fetch import Dataset, ensure, user_data
from gatesweep.data.text.reviews import read_reviews
from gatesweep.data.text.words import read_word_files
from gatesweep.errors import DataError
from gatesweep.tasks.language_modeling.config import LanguageData, TextSplits

SPLITS = ("train", "val", "test")
LAYOUT = {"char-ptb": "ptb"}
"""The layout that a set is read from, where it is not called like the set."""


class Text(NamedTuple):
    """What was read."""

    lines: Mapping[str, Sequence[str]]
    """By split; a folder without splits, read by `read_other`, has `all` alone."""

    said: tuple[str, ...]
    """Lines for the log."""


def dataset_of(data: LanguageData, say: Callable[[str], None]) -> Dataset:
    """The verified bytes.

    Raises:
        DataError: they are not there, or altered.
    """
    return ensure("reviews", say=say) if data.path is None else user_data(data.path)


def read(dataset: Dataset, data: LanguageData) -> Text:
    """The training's own text.

    Raises:
        DataError: another layout than the set's, other counts than published, no training text.
    """
    if data.path is None:
        return _reviews(dataset, data.splits)
    files = read_word_files(dataset.path, strict=data.name is not None)
    wanted = LAYOUT.get(data.name or "", data.name)
    if wanted is not None and files.known != wanted:
        raise DataError(f"is not laid out like {wanted}", place=str(data.path),
                        hint="name the set that it is, or leave data.name out for text of your own")  # fmt: skip
    said = tuple(line for account in files.accounts.values() for line in account.lines()) + files.said
    parts = _named(files.parts)
    if "all" in parts:
        lines = parts["all"]
        return Text(_cut(lines, _ends(len(lines), data.splits)), said)
    for split in ("train", "val"):
        if split not in parts:
            raise DataError(f"has no {split} text", place=str(data.path), hint="train.txt, valid.txt and test.txt")
    return Text(parts, said)


def read_other(path: Path) -> Text:
    """Text that the training never saw: any layout, any counts.

    Raises:
        DataError: no text there.
    """
    files = read_word_files(path, strict=False)
    return Text(_named(files.parts), files.said)


def _named(parts: Mapping[str, Sequence[str]]) -> dict[str, Sequence[str]]:
    return {"val" if part == "valid" else part: lines for part, lines in parts.items()}


def _ends(count: int, splits: TextSplits) -> list[int]:
    """Where each split begins, in the order of the lines, and where the last one ends."""
    return [round(share * count) for share in accumulate((splits.train, splits.val, splits.test), initial=0.0)]


def _cut(lines: Sequence[str], ends: Sequence[int]) -> dict[str, Sequence[str]]:
    return {split: lines[start:stop] for split, (start, stop) in zip(SPLITS, pairwise(ends), strict=True)}


def _reviews(dataset: Dataset, splits: TextSplits) -> Text:
    """IMDb's reviews, each a line, in an order drawn by the digest of their group of films: no film in two splits, as
    far as films can be told."""
    frame = read_reviews(dataset, duplicates="drop")
    said = tuple(frame.attrs["account"].lines())
    imdb = frame[frame["source"] == "imdb"]
    ranked = imdb.assign(order=imdb["film"].map(_drawn)).sort_values(["order", "film"], kind="stable")
    texts, films = ranked["text"].tolist(), ranked["film"].tolist()
    ends = _ends(len(texts), splits)
    for number in (1, 2):
        while 0 < ends[number] < ends[3] and films[ends[number]] == films[ends[number] - 1]:
            ends[number] += 1
    return Text(_cut(texts, ends), (*said, f"reviews: the {len(texts):,} of IMDb, no group of films in two splits"))


def _drawn(film: int) -> str:
    return hashlib.sha256(f"film {film}".encode()).hexdigest()

