"""Values of their files, which the loader leaves as the text they were: numbers, sections, lists."""

from __future__ import annotations

import re
from collections.abc import Container
from decimal import Decimal, InvalidOperation
from typing import Any

from gatesweep.sweep.imported.found import Report

LARGEST_EXPONENT = 300
LONGEST_LIST = 1000
_PLAIN = re.compile(r"-?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?")


def section(value: Any, key: str, report: Report) -> dict[str, Any]:
    """A mapping.

    Raises:
        ConfigError: it is something else.
    """
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        raise report.wrong(key, f"is a section with keys of its own, not {short(value)}")
    return value


def others(given: dict[str, Any], read: Container[str]) -> list[str]:
    """The keys that nobody has read, in the file's order."""
    return [key for key in given if key not in read]


def entries(value: Any, key: str, report: Report) -> list[Any]:
    """A list that is not empty, nor so long that trying each value takes minutes.

    Raises:
        ConfigError: it is something else.
    """
    if not isinstance(value, list) or not value:
        raise report.wrong(key, f"is a list of at least one value, not {short(value)}")
    if len(value) > LONGEST_LIST:
        raise report.wrong(key, f"lists {len(value)} values, and {LONGEST_LIST} is the most", "a range, or fewer")
    return value


def text(value: Any, key: str, report: Report) -> str:
    """A word.

    Raises:
        ConfigError: it is something else.
    """
    if not isinstance(value, str) or not value.strip():
        raise report.wrong(key, f"is a word, not {short(value)}")
    return value.strip()


def number(value: Any, key: str, report: Report) -> Decimal:
    """A number, exact as it is written.

    Raises:
        ConfigError: it is none, or larger or smaller than a float can be.
    """
    try:
        read = Decimal(value.strip()) if isinstance(value, str) else None
    except InvalidOperation:
        read = None
    if read is None or not read.is_finite():
        raise report.wrong(key, f"is a number, not {short(value)}")
    if read and abs(read.adjusted()) > LARGEST_EXPONENT:
        raise report.wrong(key, f"{short(value)} is beyond what a float can hold")
    return read


def whole(value: Any, key: str, report: Report, *, least: int = 1) -> int:
    """A whole number of at least `least`.

    Raises:
        ConfigError: it is none, or less.
    """
    read = number(value, key, report)
    if read != read.to_integral_value() or read < least:
        raise report.wrong(key, f"is a whole number of at least {least}, not {short(value)}")
    return int(read)


def is_whole(*numbers: Decimal) -> bool:
    """Whether none of them has a fraction."""
    return all(each == each.to_integral_value() for each in numbers)


def spelled(value: Decimal, given: Any = None) -> str:
    """A number for our file: as it was `given` where that is how a number looks."""
    if isinstance(given, str) and _PLAIN.fullmatch(given.strip()) and not is_whole(value):
        return given.strip()
    if is_whole(value) and abs(value) < 10**15:
        return str(int(value))
    return f"{float(value):.10g}"


def short(value: Any, width: int = 60) -> str:
    """A value on one line, for messages."""
    if value is None:
        return "nothing"
    line = value if isinstance(value, str) else repr(value)
    line = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
    return line if len(line) <= width else f"{line[:width - 1]}…"
