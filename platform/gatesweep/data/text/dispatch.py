"""Which reader a text set needs: a set of the catalogue by its kind, a path by what lies there."""

from __future__ import annotations

import csv
from pathlib import Path

from ...errors import DataError
from .. import catalogue
from ..fetch import ensure
from ..own import user_data
from ..scratch import Say
from .imdb import is_imdb, read_imdb
from .labelled import read_labelled_csv
from .lines import read_text
from .parallel import read_parallel
from .quality import TextReport, judge_labelled, judge_lines, judge_parallel
from .reviews import read_reviews
from .verses import read_verses
from .words import read_word_files


def text_quality(name: str, *, languages: tuple[str, str] | None = None, shown: int = 10,
                 say: Say = lambda line: None) -> TextReport:
    """The report on a set of the catalogue, or on a file or folder of the user's.

    Args:
        languages: of parallel files; by default the two that there are.
        shown: candidates for wrong labels to show; 0 does not look for them.

    Raises:
        DataError: no such set or path, no text, or as the readers.
    """
    if name in catalogue.names():
        return _of_set(name, shown, say)
    if not Path(name).expanduser().exists():
        raise catalogue.unknown(name, catalogue.names())
    place = user_data(name).path
    if place.is_file() and place.name.endswith((".csv", ".csv.gz")):
        _refuse_series(place)
        return judge_labelled(place.name, read_labelled_csv(place), shown=shown)
    if place.is_dir() and is_imdb(place):
        return judge_labelled(place.name, read_imdb(place, strict=False), shown=shown)
    found = languages or (two_languages(place) if place.is_dir() else None)
    if found:
        return judge_parallel(place.name, read_parallel(place, *found))
    files = read_word_files(place, strict=False)
    for line in files.said:
        say(line)
    return judge_lines(place.name, files.parts, {part: each.noted for part, each in files.accounts.items()})


def _of_set(name: str, shown: int, say: Say) -> TextReport:
    kind = catalogue.entry(name).kind
    if kind == "labelled-text":
        return judge_labelled(name, read_reviews(ensure(name, say=say), films=False), shown=shown)
    if kind == "parallel-text":
        return judge_parallel(name, {"all": read_verses(ensure(name, say=say))})
    raise DataError(f"holds no text: it is of the kind {kind!r}", place=f"data set {name!r}",
                    hint=f"gatesweep data verify {name} checks its bytes")


def _refuse_series(place: Path) -> None:
    head = next(csv.reader(read_text(place).removeprefix("\ufeff").splitlines()[:1]), [])
    if not {"text", "label"} <= set(head):
        raise DataError(f"has no columns 'text' and 'label': there are {', '.join(map(repr, head))}", place=str(place),
                        hint="a series of your own is judged when a run reads it; text needs these two columns")


def two_languages(folder: Path) -> tuple[str, str] | None:
    """The endings of a folder of parallel files, `de` and `en`; None where it is none, or where there are more.

    Raises:
        DataError: parallel files in more than two languages.
    """
    splits: dict[str, set[str]] = {}
    for path in folder.iterdir():
        split, _, language = path.name.removesuffix(".gz").rpartition(".")
        if split and path.is_file() and 2 <= len(language) <= 3 and language.isalpha() and language != "txt":
            splits.setdefault(split, set()).add(language)
    found = sorted({language for split, each in splits.items() if len(each) > 1 for language in each})
    if len(found) > 2:
        raise DataError(f"holds {', '.join(found)}: which two?", place=str(folder), hint="--source de --target en")
    return (found[0], found[1]) if found else None
