"""From a file or a folder of data to the sets that hold it, at which commits, and to every run that read them.

A set is known by its pin, and a pin by its listing: those of the working tree's `data.dvc` and of every commit that
changed it are searched for the md5. A file of a user's own is known to its runs by its own md5, a folder by its digest.
"""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatesweep.data import objects, pins, revisions
from gatesweep.data.own import user_data
from gatesweep.data.scratch import Say
from gatesweep.errors import NotFound
from gatesweep.track import addresses as names
from gatesweep.track.vendor import public

if TYPE_CHECKING:
    from gatesweep.data.pins import Pin
    from gatesweep.track.store import Store, StoredRun

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Holder:
    """A version of a set that holds the file, or is the folder."""

    set: str
    md5: str
    """The pin."""
    files: tuple[str, ...]
    """Where in the set; empty where the set as a whole was asked for."""
    now: bool
    """Whether the working tree's `data.dvc` pins it."""
    commits: tuple[str, ...]
    """That changed `data.dvc` and left this pin in it, newest first."""


@dataclass(frozen=True)
class User:
    """A run that read it."""

    run_id: str
    name: str
    status: str
    kind: str | None
    """run, trial or sweep."""
    sweep_id: str | None
    trial_id: str | None
    commit: str | None
    md5: str
    """The digest by which the run knows the data: a pin, or the file's own md5."""


@dataclass(frozen=True)
class DataTrace:
    """What holds a file, and what came of it."""

    given: str
    md5: str
    size_bytes: int | None
    store: str
    sets: tuple[Holder, ...]
    runs: tuple[User, ...]
    unread: tuple[str, ...]
    """Pins whose listings are nowhere to be had, so that they may hold it too."""
    kind: str = "data"

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self)


def lies_in_a_set(path: Path, root: Path | None) -> bool:
    """Whether a path that may not be there belongs to a set of `data.dvc`."""
    return _set_of(path, root) is not None


def _set_of(path: Path, root: Path | None) -> Pin | None:
    place = path.absolute()
    found = pins.read_pins(root).values() if root else ()
    return next((pin for pin in found if place.is_relative_to(pin.path)), None)


def trace_data(given: str, store: Store, root: Path | None, *, say: Say = _log.info) -> DataTrace:
    """What holds the file or folder at the path `given`, and every run that read it.

    Raises:
        NotFound: no set holds it and no run read it.
    """
    with objects.opened(root, say) as known:
        md5, size_bytes = _identity(Path(given).expanduser(), root, known)
        holders, unread = _holders(md5, root, known)
        places = known.places
    digests = dict.fromkeys([*(each.md5 for each in holders), md5])
    runs = tuple(_user(run, digest) for digest in digests for run in store.using(digest))
    if not holders and not runs:
        pinned = "data.dvc, at no commit that is here," if root else "(there is no data.dvc here or above)"
        raise NotFound(
            f"md5 {md5} is in no set of {pinned} and no run in {public(store.uri)} read it", place=given,
            hint=f"looked at the listings in {places}"
                 + (f", without {len(unread)} that are nowhere to be had: {', '.join(unread)}" if unread else "")
                 + "; of a folder of your own give the folder, not a file of it")
    return DataTrace(given, md5, size_bytes, public(store.uri), holders, runs, unread)


def _identity(path: Path, root: Path | None, known: objects.Objects) -> tuple[str, int | None]:
    """The md5 of what lies there; of a set's file that was not pulled, the pinned one."""
    if path.exists():
        found = user_data(path)
        return found.md5, found.size_bytes
    pin = _set_of(path, root)
    assert pin is not None, "the caller has asked"
    if path.absolute() == pin.path:
        return pin.md5, pin.size_bytes
    inside = path.absolute().relative_to(pin.path).as_posix()
    listing = known.listing(pin)
    if listing is None or inside not in listing:
        there = f"it holds {', '.join(sorted(listing)[:5])}" if listing else f"its listing is not in {known.places}"
        raise NotFound(f"is not here, and the pin of {pin.name} ({pin.md5}) does not tell of it: {there}",
                       place=str(path), hint=f"gatesweep data pull {pin.name}")
    return listing[inside], known.sizes([listing[inside]]).get(listing[inside])


def _holders(md5: str, root: Path | None, known: objects.Objects) -> tuple[tuple[Holder, ...], tuple[str, ...]]:
    found: dict[tuple[str, str], Holder | None] = {}
    unread: dict[str, None] = {}
    for at in _moments(root):
        for name, pin in at.pins.items():
            key = (name, pin.md5)
            if key not in found:
                listing = {} if pin.md5 == md5 else known.listing(pin)
                if listing is None:
                    unread[f"{name} {pin.md5}"] = None
                files = tuple(path for path, each in sorted((listing or {}).items()) if each == md5)
                found[key] = Holder(name, pin.md5, files, False, ()) if files or pin.md5 == md5 else None
            holder = found[key]
            if holder is not None:
                found[key] = (replace(holder, now=True) if at.commit is None
                              else replace(holder, commits=(*holder.commits, at.commit)))
    return tuple(each for each in found.values() if each), tuple(unread)


def _moments(root: Path | None) -> list[revisions.Revision]:
    """The working tree, and every commit that changed the pins."""
    return [revisions.revision(root, None), *revisions.history(root)] if root else []


def _user(run: StoredRun, md5: str) -> User:
    tags = run.tags
    return User(run.run_id, run.name, run.status, tags.get(names.KIND), tags.get(names.SWEEP_ID),
                tags.get(names.TRIAL_ID), tags.get(names.COMMIT), md5)
