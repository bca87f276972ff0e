"""What `gatesweep data list` shows: each set's licence and origin, size, rows, pin, and its state on this machine.

The sets are those of the catalogue, and users' own that `data.dvc` pins, of which less is known.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from ..config.places import find_root
from . import catalogue, pins

State = Literal["verified", "altered", "absent"]


@dataclass(frozen=True)
class SetStatus:
    """One set."""

    name: str
    title: str
    licence: str
    """The data's own licence."""

    origin: str
    package: str
    """The package that carries it, with its version and its own licence."""

    size_bytes: int
    rows: int | None
    """None of a set of the user's own: nobody counted."""

    series: list[str]
    """Empty where the set is of another kind."""

    pinned: str | None
    """Its md5 in `data.dvc`; None: not pinned, held against the catalogue."""

    state: State
    path: str
    differences: list[str]
    kind: catalogue.Kind | Literal["own"]

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self)


def status(name: str, *, root: Path | None = None) -> SetStatus:
    """The state of one set; re-hashes what is present, fetches nothing.

    Raises:
        DataError: there is no such set.
    """
    root = root or find_root()
    pin = pins.expected(name, root)
    present = pins.is_present(pin.path)
    found = [str(each) for each in pins.differences(pin, root)] if present else []
    pinned = pin.md5 if root and name in pins.read_pins(root) else None
    state: State = "altered" if found else "verified" if present else "absent"
    if name not in catalogue.names():
        return SetStatus(name, "a set of your own", "yours to know", "gatesweep data add", "data.dvc",
                         pin.size_bytes or 0, None, [], pinned, state, str(pin.path), found, "own")
    entry = catalogue.entry(name)
    source = catalogue.load().sources[entry.source]
    return SetStatus(name, entry.title, entry.licence, entry.origin,
                     f"{source.package} {source.version} ({source.licence})", entry.size_bytes, entry.rows,
                     list(entry.series), pinned, state, str(pin.path), found, entry.kind)


def statuses(*, root: Path | None = None) -> list[SetStatus]:
    """The state of every set."""
    root = root or find_root()
    return [status(name, root=root) for name in names(root)]


def names(root: Path | None) -> list[str]:
    """Of the catalogue's sets, and of the user's own after them."""
    known, pinned = list(catalogue.names()), pins.read_pins(root) if root else {}
    return known + [name for name in pinned if name not in known]
