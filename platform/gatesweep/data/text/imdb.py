"""read_imdb: the Large Movie Review Dataset in its own folders, `aclImdb/{train,test}/{pos,neg}/ID_RATING.txt`.

The published rules (Maas et al., ACL 2011; the archive's README): ratings of 4 and less are negative, of 7 and more
positive; no film has more than 30 reviews; train and test share no film. `urls_{pos,neg}.txt`, line ID, names the film.
"""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from ...errors import DataError
from .labelled import settle
from .lines import read_lines, read_text

COUNTS = {("train", "pos"): 12_500, ("train", "neg"): 12_500, ("test", "pos"): 12_500, ("test", "neg"): 12_500,
          ("train", "unsup"): 50_000}
_NAME = re.compile(r"(\d+)_(\d+)\.txt")
_FILM = re.compile(r"/title/(tt\d+)")


def is_imdb(folder: Path) -> bool:
    """Whether the folder, or `aclImdb` in it, has the published layout, of which a part may be missing."""
    base = folder / "aclImdb" if (folder / "aclImdb").is_dir() else folder
    return any((base / split / "pos").is_dir() and (base / split / "neg").is_dir() for split in ("train", "test"))


def read_imdb(folder: str | Path, *, strict: bool = True, unsupervised: bool = False) -> pd.DataFrame:
    """Columns `text`, `label` (neg, pos; unsup), `source` (imdb), `split`, `film` (where the urls are), `rating`.

    Args:
        folder: `aclImdb`, or what it lies in.
        strict: a part that is there must have the published number of reviews; else other numbers are said.
        unsupervised: the 50,000 reviews without label as well.

    Raises:
        DataError: not this layout, a file that is not called so, other counts, a rating against its label.
    """
    base = Path(folder) / "aclImdb" if (Path(folder) / "aclImdb").is_dir() else Path(folder)
    if not is_imdb(base):
        raise DataError("is not laid out like IMDb", place=str(folder), hint="aclImdb/{train,test}/{pos,neg}/*.txt")
    wanted = [each for each in COUNTS if (base / each[0] / each[1]).is_dir() and (unsupervised or each[1] != "unsup")]
    parts = {each: _part(base, *each) for each in wanted}
    other = {each: len(part) for each, part in parts.items() if len(part) != COUNTS[each]}
    told = "; ".join(f"{split}/{label} has {count:,} reviews, published are {COUNTS[split, label]:,}"
                     for (split, label), count in other.items())
    if strict and told:
        raise DataError(told, place=str(base), hint="extract the archive again: a part of it is missing")
    frame = settle(pd.concat(parts.values(), ignore_index=True), "imdb", base)
    frame.attrs["account"].noted |= {f"reviews: {told}": sum(other.values())} if told else {}
    return frame


def _part(base: Path, split: str, label: str) -> pd.DataFrame:
    rows = [_review(path, label) for path in sorted((base / split / label).glob("*.txt"))]
    if not rows:
        raise DataError("holds no reviews", place=str(base / split / label))
    frame = pd.DataFrame(rows, columns=["id", "rating", "text"]).sort_values("id", ignore_index=True)
    frame["label"], frame["source"], frame["split"] = label, "imdb", split
    frame["film"] = _films(base / split / f"urls_{label}.txt", frame["id"])
    return frame.drop(columns="id")


def _review(path: Path, label: str) -> tuple[int, int, str]:
    named = _NAME.fullmatch(path.name)
    if named is None:
        raise DataError("is not called ID_RATING.txt", place=str(path), hint="remove what is not part of the set")
    rating = int(named[2])
    if (label == "neg" and rating > 4) or (label == "pos" and rating < 7):
        raise DataError(f"a rating of {rating} lies among {label}", place=str(path), hint="neg: 1-4, pos: 7-10")
    return int(named[1]), rating, read_text(path)


def _films(urls: Path, ids: pd.Series) -> list[str | None]:
    if not urls.is_file():
        return [None] * len(ids)
    found = [match[1] if (match := _FILM.search(line)) else None for line in read_lines(urls)]
    return [found[each] if each < len(found) else None for each in ids]
