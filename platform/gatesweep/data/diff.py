"""What `data.dvc` pins at two revisions, set by set and file by file; nothing is checked out, no file of the data read.

    diff(root, "v1", None)     from the tag v1 to the working tree's data.dvc

Files are compared by the listings (`….dir`) of the pins: out of the catalogue, DVC's cache or the remote. Where a
listing is nowhere to be had, the set is still named with both pins, and `why` says what was asked.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..config.places import PIN_FILE
from ..errors import DataError
from . import catalogue
from .objects import Objects, opened
from .pins import Pin
from .revisions import Revision, revision
from .scratch import Say

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Version:
    """One version of a set or of a file."""

    md5: str
    size_bytes: int | None
    """None: nobody here knows it."""


@dataclass(frozen=True)
class FileChange:
    """A file of a set: added where `old` is None, removed where `new` is."""

    path: str
    old: Version | None
    new: Version | None


@dataclass(frozen=True)
class SetChange:
    """A set: added where `old` is None, removed where `new` is."""

    name: str
    old: Version | None
    new: Version | None
    files: tuple[FileChange, ...] = ()
    why: str | None = None
    """Why the files could not be compared."""


@dataclass(frozen=True)
class DataDiff:
    """What changed between two revisions."""

    old: Revision
    new: Revision
    changes: tuple[SetChange, ...]
    unchanged: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        kinds: dict[str, list[dict[str, Any]]] = {"added": [], "removed": [], "changed": []}
        for each in self.changes:
            told = asdict(each)
            if _kind(each) == "changed":
                files: dict[str, list[Any]] = {"added": [], "removed": [], "changed": []}
                for file in each.files:
                    files[_kind(file)].append(asdict(file))
                told["files"] = None if each.why else files
            else:
                del told["files"]
            kinds[_kind(each)].append(told)
        ends = {end: {"revision": at.name, "commit": at.commit} for end, at in (("old", self.old), ("new", self.new))}
        return {**ends, **kinds, "unchanged": list(self.unchanged)}


def _kind(change: SetChange | FileChange) -> str:
    return "added" if change.old is None else "removed" if change.new is None else "changed"


def diff(root: Path | None, old: str | None = "HEAD", new: str | None = None, sets: Sequence[str] = (), *,
         say: Say = _log.info) -> DataDiff:
    """The difference from `old` to `new`.

    Args:
        old, new: revisions of git; None is the working tree.
        sets: these alone; by default all.

    Raises:
        DataError: no `data.dvc`, no such revision, or a set that neither of them pins.
    """
    if root is None:
        raise DataError(f"no {PIN_FILE} here or above", hint="change into the project, or set GATESWEEP_ROOT")
    before, after = revision(root, old), revision(root, new)
    pinned = sorted({*before.pins, *after.pins})
    for name in sets:
        if name not in pinned:
            raise DataError(f"neither {before} nor {after} pins a set {name!r}: they pin {', '.join(pinned) or 'none'}",
                            hint=catalogue.nearest(name, pinned) or "git log --oneline -- data.dvc")
    wanted = sorted(set(sets)) or pinned
    same = tuple(name for name in wanted if _md5(before, name) == _md5(after, name))
    with opened(root, say) as objects:
        changes = tuple(_change(name, before.pins.get(name), after.pins.get(name), objects) for name in wanted
                        if name not in same)
    return DataDiff(before, after, changes, same)


def _md5(at: Revision, name: str) -> str | None:
    return at.pins[name].md5 if name in at.pins else None


def _change(name: str, old: Pin | None, new: Pin | None, objects: Objects) -> SetChange:
    before, after = (Version(pin.md5, pin.size_bytes) if pin else None for pin in (old, new))
    if old is None or new is None:
        return SetChange(name, before, after)
    listings = [objects.listing(pin) for pin in (old, new)]
    missing = [pin.md5 for pin, listing in zip((old, new), listings, strict=True) if listing is None]
    if missing:
        return SetChange(name, before, after,
                         why=f"the listing of {' and of '.join(missing)} is not in {objects.places}")
    was, is_ = (listing or {} for listing in listings)
    differing = [path for path in sorted({*was, *is_}) if was.get(path) != is_.get(path)]
    sizes = objects.sizes({md5 for path in differing for md5 in (was.get(path), is_.get(path)) if md5})

    def version(md5: str | None) -> Version | None:
        return Version(md5, sizes.get(md5)) if md5 else None

    return SetChange(name, before, after, tuple(FileChange(path, version(was.get(path)), version(is_.get(path)))
                                                for path in differing))


def split_words(words: Sequence[str], root: Path | None) -> tuple[str | None, str | None, list[str]]:
    """`[OLD [NEW]] [SET]…` told apart: a word is a set where a revision named so far, or the working tree, pins it.

    A branch that is called like a set is written `refs/heads/traffic`.
    """
    revisions: list[str] = []
    rest = list(words)
    while rest and len(revisions) < 2 and root is not None:
        known = revision(root, None).pins.keys() | (revision(root, revisions[0]).pins.keys() if revisions else set())
        if rest[0] in known:
            break
        revisions.append(rest.pop(0))
    old, new = [*revisions, None, None][:2]
    return old or "HEAD", new, rest
