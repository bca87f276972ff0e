"""What DVC has stored, by md5, read and never changed: the cache on this machine, and behind it the default remote.

The remote is opened by DVC itself, so that its own settings and credentials hold (`.dvc/config`, `.dvc/config.local`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import DataError
from . import catalogue, store
from .listing import read_listing
from .pins import Pin, digest_of
from .scratch import Say


class Objects:
    """Of one repository."""

    def __init__(self, root: Path | None, repo: Any | None, say: Say) -> None:
        self.root, self._repo, self._say = root, repo, say
        self._remote: Any = None
        self._silent = repo is None or not repo.config["core"].get("remote")

    @property
    def remote(self) -> str | None:
        """The default remote's name and address."""
        name = None if self._repo is None else self._repo.config["core"].get("remote")
        return f"the DVC remote {name!r}, {store.shown(self._repo, name)}" if name else None

    @property
    def places(self) -> str:
        """Where is looked, for messages."""
        if self._repo is None:
            return "the catalogue (there is no DVC repository here)"
        return f"DVC's cache and {self.remote}" if self.remote else "DVC's cache (no DVC remote is set)"

    def listing(self, pin: Pin) -> dict[str, str] | None:
        """Relative path -> md5 of the pin's files; None where nobody has this version's listing."""
        if not pin.md5.endswith(".dir"):
            return {pin.name: pin.md5}
        if pin.name in catalogue.names():
            declared = catalogue.entry(pin.name).md5s
            if digest_of(declared) == pin.md5:
                return declared
        data = self._read(pin.md5)
        if data is None:
            return None
        try:
            return read_listing(data, pin.md5, place=f"the listing {pin.md5}")
        except DataError as error:
            self._say(f"not believed: {error}")
            return None

    def sizes(self, md5s: Iterable[str]) -> dict[str, int]:
        """Bytes of the files of these md5s, as far as anybody here knows them."""
        wanted = set(md5s)
        declared = {member.md5: member.size_bytes for name in catalogue.names()
                    for member in catalogue.entry(name).files.values() if member.md5 in wanted}
        return {**self._stored(wanted - declared.keys()), **declared}

    def missing(self, pin: Pin) -> list[str]:
        """What of the pin neither the cache nor the remote holds: its files, or the listing that would name them."""
        listing = self.listing(pin)
        if listing is None:
            return [f"its listing {pin.md5}"]
        stored = self._stored(set(listing.values()))
        return [path for path, md5 in sorted(listing.items()) if md5 not in stored]

    def _stored(self, md5s: set[str]) -> dict[str, int]:
        """Sizes of the objects that are stored; one question to the remote for all that the cache lacks."""
        found = {md5: size for md5 in md5s if (size := self._cached_size(md5)) is not None}
        absent = sorted(md5s - found.keys())
        remote = self._opened() if absent else None
        if remote is not None:
            try:
                told = remote.fs.info([remote.oid_to_path(md5) for md5 in absent], return_exceptions=True)
                found |= {md5: int(each["size"]) for md5, each in zip(absent, told, strict=True)
                          if isinstance(each, dict) and each.get("size") is not None}
            except Exception as error:  # every storage plugin raises errors of its own
                self._gave_up(error)
        return found

    def _cached_size(self, md5: str) -> int | None:
        path = None if self._repo is None else Path(self._repo.cache.local.oid_to_path(md5))
        return path.stat().st_size if path is not None and path.is_file() else None

    def _read(self, md5: str) -> bytes | None:
        if self._repo is None:
            return None
        cached = Path(self._repo.cache.local.oid_to_path(md5))
        if cached.is_file():
            return cached.read_bytes()
        remote = self._opened()
        try:
            return None if remote is None else bytes(remote.fs.cat_file(remote.oid_to_path(md5)))
        except FileNotFoundError:
            return None
        except Exception as error:  # every storage plugin raises errors of its own
            self._gave_up(error)
            return None

    def _opened(self) -> Any | None:
        if self._remote is None and not self._silent and self._repo is not None:
            try:
                self._remote = self._repo.cloud.get_remote_odb()
            except Exception as error:  # a plugin that is not installed, a remote of another kind
                self._gave_up(error)
        return None if self._silent else self._remote

    def _gave_up(self, error: Exception) -> None:
        self._silent = True
        self._say(f"{self.places}: {store.first_line(error)}")


@contextmanager
def opened(root: Path | None, say: Say) -> Iterator[Objects]:
    """The objects of the repository at `root`; outside one, what the catalogue says."""
    if root is None or not store.is_tracked(root):
        yield Objects(root, None, say)
        return
    with store.open_repo(root) as repo:
        yield Objects(root, repo, say)
