"""read_verses: the set `verses`, English (World English Bible) and Japanese, paired by book, chapter and verse.

    English     "01001001","1","1","1","In the beginning God{a note} created …"    notes in braces are taken out
    Japanese    =001 Genesis … / Ge 1:1 創世記 1:1 元始に… / END    books 101-127 are the New Testament

Where a Japanese verse number occurs twice in a row and a neighbouring number is missing, the second or the first of the
two has the neighbour's: the source has that slip at 2 Samuel 19:25 and 2 Chronicles 2:13. Any other repeat is refused.
A Japanese verse without text is printed with the one before it; the pair is dropped, and the one before it then says
more in Japanese than in English.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path

from ...errors import DataError
from ..dataset import Dataset
from .account import TextAccount
from .lines import read_lines, read_text
from .pairs import Pair, Pairs, settled

Verse = tuple[int, int, int]
"""Book, chapter, verse."""

ENGLISH, JAPANESE = "t_web.csv.gz", "kougo.txt.gz"
VERSES = 31_102
_OLD_TESTAMENT = 39
_NOTE = re.compile(r"\s*\{[^{}]*\}")
_BOOK = re.compile(r"=(\d{3}) .*")
_LINE = re.compile(r"(\S+) (\d+):(\d+) \S+ \d+:\d+ ?(.*)")


def read_verses(dataset: Dataset) -> Pairs:
    """Every verse that both have, in the order of the books; `reference` is like `Ge 1:1`.

    Raises:
        DataError: a line of another form, a verse number twice, or another number of English verses.
    """
    account = TextAccount("verses", "verses")
    english = _english(dataset.path / ENGLISH, account)
    japanese, named = _japanese(dataset.path / JAPANESE, account)
    account.read = len(english)
    account.dropped = {"no Japanese verse of that number": len(english.keys() - japanese.keys())}
    account.noted["Japanese verses of a number that the English has not"] = len(japanese.keys() - english.keys())
    both = sorted(english.keys() & japanese.keys())
    pairs = [Pair(english[each], japanese[each], named[each]) for each in both]
    return settled(pairs, ("en", "ja"), account, place=str(dataset.path))


def _english(path: Path, account: TextAccount) -> dict[Verse, str]:
    rows = list(csv.reader(read_text(path).splitlines(keepends=True), strict=True))
    verses: dict[Verse, str] = {}
    for number, row in enumerate(rows[1:], 2):
        if len(row) != 5 or not all(each.isdigit() for each in row[:4]):
            raise DataError(f"line {number} is no verse: {row}", place=str(path))
        verse = int(row[1]), int(row[2]), int(row[3])
        if verse in verses:
            raise DataError(f"line {number} repeats verse {verse}", place=str(path))
        verses[verse] = _NOTE.sub("", row[4]).strip()
    if len(verses) != VERSES:
        raise DataError(f"{len(verses):,} verses, not {VERSES:,}", place=str(path))
    account.noted["English verses whose notes were taken out"] = sum("{" in row[4] for row in rows[1:])
    return verses


def _japanese(path: Path, account: TextAccount) -> tuple[dict[Verse, str], dict[Verse, str]]:
    """Verse -> text, and verse -> reference."""
    numbered = _renumbered(list(_japanese_lines(path)), path, account)
    return {verse: text for verse, _, text in numbered}, {verse: f"{book} {verse[1]}:{verse[2]}"
                                                          for verse, book, _ in numbered}


def _japanese_lines(path: Path) -> Iterator[tuple[Verse, str, str]]:
    book = 0
    for number, line in enumerate(read_lines(path), 1):
        if opened := _BOOK.fullmatch(line):
            book = int(opened[1])
        elif found := _LINE.fullmatch(line):
            canon = book - 100 + _OLD_TESTAMENT if book > 100 else book
            yield (canon, int(found[2]), int(found[3])), found[1], found[4].strip()
        elif line.strip() not in ("END", "=ALL", ""):
            raise DataError(f"line {number} is no verse: {line[:60]!r}", place=str(path))


def _renumbered(rows: list[tuple[Verse, str, str]], path: Path, account: TextAccount) -> list[tuple[Verse, str, str]]:
    numbers = {verse for verse, _, _ in rows}
    done, renumbered = list(rows), 0
    for at in range(1, len(rows)):
        (book, chapter, verse), name, text = rows[at]
        if rows[at - 1][0] != (book, chapter, verse):
            continue
        before, after = (book, chapter, verse - 1), (book, chapter, verse + 1)
        if verse > 1 and before not in numbers:
            done[at - 1] = (before, name, rows[at - 1][2])
        elif after not in numbers:
            done[at] = (after, name, text)
        renumbered += 1
    if len({verse for verse, _, _ in done}) != len(done):
        raise DataError("holds a verse number twice, and not in a row beside a gap", place=str(path))
    account.noted["Japanese verses renumbered, where a number stands twice beside a gap"] = renumbered
    return done
