"""Data on a node of a cluster: fetched once by digest, whoever asks, and verified in every process that uses them.

    cache = NodeCache(node_folder(), RemoteOrigin("s3://bucket/shelf"))
    cache("traffic")                    -> Dataset at <node folder>/data/sets/<md5>/traffic

Several sets, versions of a set and sweeps share the folder. Nothing here imports dvc.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from ..config.places import find_root
from ..errors import DataError
from . import pins
from .dataset import Dataset
from .hashing import entries
from .listing import is_md5, read_listing
from .node_disk import disk_errors
from .origin import Origin
from .room import make_room, with_room
from .scratch import Say
from .shelf import Shelf

_log = logging.getLogger(__name__)
_NAME = re.compile(r"[^/\0]+")


class Pinned(NamedTuple):
    """What the driver has verified: the digest that a node's bytes must have."""

    md5: str
    """With its `.dir`; without one it is a single file."""

    size_bytes: int | None = None


class NodeCache:
    """The `Fetcher` of a worker.

    Args:
        folder: the node's folder; the cache is `data` in it.
        pinned: by the set's name, or by the absolute path that a user's own file or folder has where the driver runs.
            Sets that it does not name are looked up in `data.dvc` and the catalogue.
        limit_bytes: all objects together stay below; none leaves that to the disk.
    """

    def __init__(self, folder: Path, origin: Origin, *, pinned: Mapping[str, Pinned] | None = None,
                 limit_bytes: int | None = None) -> None:
        self.shelf, self.origin = Shelf(Path(folder).absolute() / "data"), origin
        self._pinned = {name: Pinned(*each) for name, each in (pinned or {}).items()}  # lists where they came as JSON
        self._limit_bytes = limit_bytes

    def __call__(self, name: str, *, root: Path | None = None, say: Say = _log.info) -> Dataset:
        """The set `name`, verified now; fetched when this node does not have it.

        Raises:
            DataError: unknown set, or an origin that does not deliver it as pinned.
            NodeDiskError: the node's disk refuses.
        """
        if name in self._pinned:
            return self._bring(name, self._pinned[name], say)
        pin = pins.expected(name, root or find_root())
        return self._bring(name, Pinned(pin.md5, pin.size_bytes), say)

    def own_file(self, path: str | Path, say: Say = _log.info) -> Dataset | None:
        """A user's own file or folder that this node does not have under `path`; None when the driver did not pin it.

        Raises:
            DataError, NodeDiskError: as for a set.
        """
        asked = Path(path).expanduser()
        found = {each for place, each in self._pinned.items() if _is_meant(asked, Path(place))}
        if len(found) != 1:
            return None
        return replace(self._bring(asked.name, found.pop(), say), own=True)

    def _bring(self, name: str, pinned: Pinned, say: Say) -> Dataset:
        if not _NAME.fullmatch(name) or name in (".", "..") or not is_md5(pinned.md5):
            raise DataError(f"a set cannot be called {name!r}, with the digest {pinned.md5!r}", place="data.dvc")
        with disk_errors(self.shelf.folder, pinned.size_bytes):
            self.shelf.claim(pinned.md5)
            road = "present"
            if not self.shelf.holds(pinned.md5, name):
                with self.shelf.locked(say):
                    if not self.shelf.holds(pinned.md5, name):
                        self._lay_out(name, pinned, say)
                        road = "node"
            return _dataset(name, self.shelf.set_at(pinned.md5, name), pinned.md5, road)

    def _lay_out(self, name: str, pinned: Pinned, say: Say) -> None:
        """The lock is held, and the set is claimed."""
        md5, shelf = pinned.md5, self.shelf
        say(f"{name}: bringing {md5} to {shelf.folder} from {self.origin.address}")
        files = self._files(md5, say)
        keep = frozenset({md5, *files.values()})
        here = [shelf.object_at(each) for each in files.values()]
        missing_bytes = (pinned.size_bytes or 0) - sum(each.lstat().st_size for each in here if each.is_file())
        make_room(shelf, max(0, missing_bytes), self._limit_bytes, keep, say)
        objects = {path: self._object(each, keep, say) for path, each in files.items()}
        with_room(shelf, lambda: shelf.lay_out(md5, name, objects, say), keep, say)

    def _files(self, md5: str, say: Say) -> dict[str, str]:
        """Relative path -> md5; the path of a single file is empty."""
        if not md5.endswith(".dir"):
            return {"": md5}
        listing = self._object(md5, frozenset({md5}), say)
        return read_listing(listing.read_bytes(), md5, place=f"{self.origin.address}: {md5}")

    def _object(self, md5: str, keep: frozenset[str], say: Say) -> Path:
        return with_room(self.shelf, lambda: self.shelf.bring(md5, self.origin, say), keep, say)


def _is_meant(asked: Path, pinned: Path) -> bool:
    """Whether `asked` is the driver's `pinned`: the same path, or, relative, its end: the working folders differ."""
    if not pinned.is_absolute():
        return False  # the name of a set
    if asked.is_absolute():
        return asked == pinned
    return ".." not in asked.parts and pinned.parts[-len(asked.parts):] == asked.parts


def _dataset(name: str, place: Path, md5: str, road: str) -> Dataset:
    files = entries(place) if place.is_dir() else [place]
    relative = tuple(each.relative_to(place).as_posix() if each != place else place.name for each in files)
    return Dataset(name, place, md5, sum(each.stat().st_size for each in files), relative, road)
