"""What `gatesweep data list` shows: each set's licence and origin, size, rows, pin, and its state on this machine."""

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
    rows: int
    series: list[str]
    """Empty where the set is of another kind."""

    pinned: str | None
    """Its md5 in `data.dvc`; None: not pinned, held against the catalogue."""

    state: State
    path: str
    differences: list[str]
    kind: catalogue.Kind

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self)


def status(name: str, *, root: Path | None = None) -> SetStatus:
    """The state of one set; re-hashes what is present, fetches nothing.

    Raises:
        DataError: there is no such set.
    """
    root = root or find_root()
    entry = catalogue.entry(name)
    source = catalogue.load().sources[entry.source]
    pin = pins.expected(name, root)
    present = pins.is_present(pin.path)
    found = [str(each) for each in pins.differences(pin, root)] if present else []
    pinned = pin.md5 if root and name in pins.read_pins(root) else None
    state: State = "altered" if found else "verified" if present else "absent"
    return SetStatus(name, entry.title, entry.licence, entry.origin,
                     f"{source.package} {source.version} ({source.licence})", entry.size_bytes, entry.rows,
                     list(entry.series), pinned, state, str(pin.path), found, entry.kind)


def statuses(*, root: Path | None = None) -> list[SetStatus]:
    """The state of every set of the catalogue."""
    return [status(name, root=root) for name in catalogue.names()]
