"""read_lines: a file as lines, strictly UTF-8, with or without gz.

A line ends at \\n alone, or at \\r\\n: U+2028, U+0085 and the like stay inside it, because they do not end a line
where parallel files were aligned. A byte order mark and the \\r are taken off, and counted. Refused, with file, line
and byte: bytes that are no UTF-8, and NUL.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import overload

from ...errors import DataError

_BOM = "\ufeff"
_C1 = re.compile("[\x80-\x9f]")
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class Lines(Sequence[str]):
    """The lines of a file, without their ends; empty ones are among them."""

    texts: tuple[str, ...]
    place: Path

    noted: dict[str, int] = field(default_factory=dict)
    """What is odd -> in how many lines."""

    @property
    def empty(self) -> int:
        """Lines without anything but white space."""
        return sum(not text.strip() for text in self.texts)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        return self.texts[index]

    def __len__(self) -> int:
        return len(self.texts)

    def __iter__(self) -> Iterator[str]:
        return iter(self.texts)


def read_lines(path: str | Path) -> Lines:
    """The lines of a file.

    Raises:
        DataError: no such file, damaged gz, NUL, or bytes that are not UTF-8.
    """
    place = Path(path)
    text = read_text(place)
    marked = text.startswith(_BOM)
    texts = text.removeprefix(_BOM).split("\n")
    if texts[-1] == "":
        texts.pop()  # what stands after the last end of line is no line
    returns = sum(each.endswith("\r") for each in texts)
    texts = [each.removesuffix("\r") for each in texts]
    noted = {"byte order mark at the start": int(marked), "lines ended with \\r\\n": returns, **oddities(texts)}
    return Lines(tuple(texts), place, {what: count for what, count in noted.items() if count})


def oddities(texts: Sequence[str]) -> dict[str, int]:
    """Signs that a text was once decoded wrongly -> in how many texts they are; they are left as they are."""
    return {"with U+FFFD, where some program lost a character": sum("\ufffd" in each for each in texts),
            "with control characters U+0080-U+009F (Windows-1252 read as Latin-1)":
                sum(not each.isascii() and _C1.search(each) is not None for each in texts)}


def read_text(path: Path) -> str:
    """A whole file, decoded.

    Raises:
        DataError: as `read_lines`.
    """
    raw = _raw(path)
    if raw.startswith(_UTF16):
        raise DataError("is UTF-16, not UTF-8", place=str(path), hint="iconv -f UTF-16 -t UTF-8 converts it")
    at = raw.find(b"\0")
    if at >= 0:
        raise DataError(f"holds a NUL: {_where(raw, at)}", place=str(path), hint="is it a text file, in UTF-8?")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _not_utf8(raw, error.start, path) from error


def _raw(path: Path) -> bytes:
    try:
        return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"is no sound gz file: {error}", place=str(path), hint="copy it again; gzip -t checks it") \
            from error
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}", place=str(path)) from error


def _where(raw: bytes, at: int) -> str:
    line, start = raw.count(b"\n", 0, at) + 1, raw.rfind(b"\n", 0, at)
    return f"line {line}, byte {at - start}"


def _not_utf8(raw: bytes, at: int, path: Path) -> DataError:
    """How many lines are of another encoding, and whether the others prove that two are mixed."""
    broken = sound = 0
    for line in raw.split(b"\n"):
        if not line.isascii():
            good = _is_utf8(line)
            sound, broken = sound + good, broken + (not good)
    mixed = f"; {sound:,} line(s) are UTF-8 beyond ASCII: two encodings are mixed" if sound else ""
    return DataError(f"{_where(raw, at)} (0x{raw[at]:02x}) is not UTF-8, and so in {broken:,} line(s){mixed}",
                     place=str(path), hint="mend those lines alone" if sound else
                     "iconv -f WINDOWS-1252 -t UTF-8 converts it, if that is its encoding")


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
