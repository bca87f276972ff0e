"""Which files changed between the data of two runs: their pins, and the listings behind these where they still are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gatesweep.data.versions import Changes, changes, listing_of
from gatesweep.errors import DataError
from gatesweep.reproduce.differences import DATA
from gatesweep.reproduce.sides import Side


@dataclass(frozen=True)
class DataChange:
    """A set of which two sides have different versions; None where a side has none of that name."""

    name: str
    a: str
    b: str
    """Labels of the sides."""

    was: str | None
    now: str | None
    files: Changes | None
    """None where only the digests are known, and `why` says why."""

    why: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)

    def lines(self) -> list[str]:
        """For a reader."""
        head = f"{self.name}: {self.a} has {self.was or 'none'}, {self.b} has {self.now or 'none'}"
        if self.files is None:
            return [f"{head}; {self.why}"]
        told = [f"  {word}  {path}" for word, paths in asdict(self.files).items() for path in paths]
        return [head, *(told[:_MOST] + ([f"  and {len(told) - _MOST:,} more"] if len(told) > _MOST else []))]


_MOST = 20


def data_changes(sides: Sequence[Side], root: Path | None) -> list[DataChange]:
    """Every set that a side has in another version than the first side.

    Args:
        root: the folder of `data.dvc`.
    """
    first = sides[0]
    return [_change(name, first, side, root) for side in sides[1:] for name in _names(first, side)
            if _pin(first, name).get("md5") != _pin(side, name).get("md5")]


def _names(*sides: Side) -> list[str]:
    return list(dict.fromkeys(pin["name"] for side in sides for pin in side.first.lock.get(DATA) or ()))


def _pin(side: Side, name: str) -> Mapping[str, Any]:
    return next((pin for pin in side.first.lock.get(DATA) or () if pin["name"] == name), {})


def _change(name: str, first: Side, side: Side, root: Path | None) -> DataChange:
    was, now = _pin(first, name), _pin(side, name)
    both = was.get("md5"), now.get("md5")
    if None in both:
        return DataChange(name, first.label, side.label, *both, None, "one of them alone uses it")
    try:
        listings = [listing_of(name, str(pin["md5"]), _place(pin, root), root) for pin in (was, now)]
    except DataError as error:
        return DataChange(name, first.label, side.label, *both, None, f"only the digests are known: {error.message}")
    return DataChange(name, first.label, side.label, *both, changes(*listings))


def _place(pin: Mapping[str, Any], root: Path | None) -> Path:
    path = Path(str(pin.get("path", pin["name"])))
    return path if path.is_absolute() or root is None else root / path
