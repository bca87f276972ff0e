"""What a pull would fetch, said before it begins: how many sets, how much to download, how much room they take."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..config.places import find_root, home
from . import catalogue, pins

COPIES = 2
"""A pulled set lies in `data/` and in DVC's cache."""


def told(names: Sequence[str], *, root: Path | None = None) -> list[str]:
    """Lines for the user; none where nothing is missing.

    Raises:
        DataError: there is no such set.
    """
    root = root or find_root()
    missing = [pin for pin in (pins.expected(name, root) for name in names) if not pins.is_present(pin.path)]
    if not missing:
        return []
    size_bytes = sum(pin.size_bytes or 0 for pin in missing)
    each = ", ".join(f"{pin.name} ({(pin.size_bytes or 0) / 1e6:.1f} MB)" for pin in missing)
    lines = [f"to fetch: {each}; about {COPIES * size_bytes / 1e6:.0f} MB of room, and at most "
             f"{_download_bytes([pin.name for pin in missing], root) / 1e6:.0f} MB to download"]
    if len(missing) > 1:
        lines.append(f"one of them alone: gatesweep data pull {missing[0].name}")
    return lines


def _download_bytes(names: Sequence[str], root: Path | None) -> int:
    """The archives that carry the sets and are not in the home's cache yet, each once."""
    known, cache = catalogue.load(), home(root) / "cache" / "sources"
    sources = {known.sets[name].source for name in names if name in known.sets}
    return sum(known.sources[each].size_bytes for each in sources
               if not (cache / known.sources[each].archive).is_file())
