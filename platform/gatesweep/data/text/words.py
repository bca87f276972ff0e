"""read_word_files: text for language models, one sentence (or paragraph) a line, by parts.

    ptb.{train,valid,test}.txt      Penn Treebank as T. Mikolov prepared it (Interspeech 2010)
    wiki.{train,valid,test}.tokens  WikiText-2 (S. Merity et al., 2016)
    {train,valid,test}.txt          any text with parts; `val`, `validation` and `dev` are `valid`
    *.txt                           any folder, at any depth, in the order of the paths: one part, `all`

The standard protocol ends each line with one <eos>, an empty line of WikiText too:

    tokens = words + lines      vocabulary = distinct words of train, and <eos>
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from ...errors import DataError
from .account import TextAccount
from .lines import Lines, read_lines


class Count(NamedTuple):
    """Of one part; `lines` is None where none is published."""

    lines: int | None
    tokens: int


class Published(NamedTuple):
    """A standard set."""

    file: str
    parts: Mapping[str, Count]
    vocabulary: int


KNOWN = {
    "ptb": Published("ptb.{}.txt", {"train": Count(42_068, 929_589), "valid": Count(3_370, 73_760),
                                    "test": Count(3_761, 82_430)}, 10_000),
    "wikitext-2": Published("wiki.{}.tokens", {"train": Count(None, 2_088_628), "valid": Count(None, 217_646),
                                               "test": Count(None, 245_569)}, 33_278),
}  # fmt: skip
_PART = re.compile(r"(train|valid|val|validation|dev|test)\.txt(\.gz)?")


@dataclass(frozen=True)
class WordFiles:
    """Lines by part: `train`, `valid` and `test`, as far as they are there, or `all`."""

    parts: dict[str, Lines]

    known: str | None
    """Which standard set's layout it is."""

    accounts: dict[str, TextAccount] = field(default_factory=dict)

    said: tuple[str, ...] = ()
    """For the user: parts that are missing, counts that are not the published ones."""


def read_word_files(folder: str | Path, *, strict: bool = True) -> WordFiles:
    """The text of a folder, or of one file.

    Args:
        strict: in the layout of a standard set the published counts must hold; else other counts are said.

    Raises:
        DataError: no text, other counts than the published ones, or as `read_lines`.
    """
    place = Path(folder)
    if not place.exists():
        raise DataError("no such folder", place=str(folder))
    known, files = _standard(place)
    parts = {part: _joined(paths) for part, paths in files.items()}
    said = tuple(_compare(KNOWN[known], parts)) if known else ()
    missing = [part for part in KNOWN[known].parts if part not in parts] if known else []
    if said and strict:
        raise DataError(f"not {known} as published: {'; '.join(said)}", place=str(folder),
                        hint="other text goes into train.txt, valid.txt and test.txt")
    said += tuple(f"{known}: no {part} part here ({KNOWN[known].file.format(part)})" for part in missing if known)
    return WordFiles(parts, known, {part: _account(part, lines) for part, lines in parts.items()}, said)


def _standard(place: Path) -> tuple[str | None, dict[str, list[Path]]]:
    if place.is_file():
        return None, {"all": [place]}
    for name, published in KNOWN.items():
        found = {part: place / published.file.format(part) for part in published.parts}
        there = {part: [path] for part, path in found.items() if path.is_file()}
        if there:
            return name, there
    named = {path: match[1] for path in sorted(place.iterdir()) if (match := _PART.fullmatch(path.name))}
    if "train" in named.values():
        return None, _parts(named)
    files = sorted(path for path in place.rglob("*") if path.is_file() and path.name.endswith((".txt", ".txt.gz")))
    if not files:
        raise DataError("holds no text", place=str(place), hint="ptb.train.txt …, wiki.train.tokens …, or any *.txt")
    return None, {"all": files}


def _parts(named: Mapping[Path, str]) -> dict[str, list[Path]]:
    parts: dict[str, list[Path]] = {}
    for path, part in named.items():
        part = part if part in ("train", "test") else "valid"
        if part in parts:
            raise DataError(f"is a second '{part}' part beside {parts[part][0].name}", place=str(path),
                            hint="remove one of them")
        parts[part] = [path]
    return {part: parts[part] for part in ("train", "valid", "test") if part in parts}


def _joined(paths: list[Path]) -> Lines:
    read = [read_lines(path) for path in paths]
    if not any(line.strip() for each in read for line in each):
        raise DataError("holds no words", place=str(paths[0]))
    noted: dict[str, int] = {}
    for each in read:
        noted |= {what: noted.get(what, 0) + count for what, count in each.noted.items()}
    return Lines(tuple(line for each in read for line in each), paths[0] if len(paths) == 1 else paths[0].parent, noted)


def _compare(published: Published, parts: Mapping[str, Lines]) -> list[str]:
    found = []
    for part, lines in parts.items():
        want, tokens = published.parts[part], sum(len(line.split()) for line in lines) + len(lines)
        if want.lines not in (None, len(lines)):
            found.append(f"{part} has {len(lines):,} lines, not {want.lines:,}")
        if tokens != want.tokens:
            found.append(f"{part} has {tokens:,} tokens with <eos>, not {want.tokens:,}")
    if "train" in parts:
        vocabulary = len({word for line in parts["train"] for word in line.split()}) + 1
        if vocabulary != published.vocabulary:
            found.append(f"train has a vocabulary of {vocabulary:,}, not {published.vocabulary:,}")
    return found


def _account(part: str, lines: Lines) -> TextAccount:
    return TextAccount(part, "lines", read=len(lines), kept=len(lines),
                       noted={"empty lines, each of which is an <eos> alone": lines.empty, **lines.noted})
