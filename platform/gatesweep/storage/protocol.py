"""A sweep's folder, wherever it lies.

Two operations carry everything that must hold when several machines write: `create` is exclusive, and whoever reads
after it returned sees it. An object store has no append; there, `Versioned.swap` puts a file again and refuses where
another write came between.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

LAST = "COMMIT"
"""The file of a folder that says that the others are whole."""


class Place(Protocol):
    """A folder: of a file system, or below a prefix of an object store. Names are relative, with slashes.

    Every operation raises StorageError where the storage does not answer, refuses or is full.
    """

    @property
    def address(self) -> str:
        """`/abs/path` or `s3://bucket/prefix`; `place(address)` is this place again, on any machine that reaches it."""

    @property
    def local(self) -> Path | None:
        """The folder itself where it is one of this machine's file systems."""

    def child(self, name: str) -> Place:
        """The place below."""

    def read(self, name: str) -> bytes:
        """A file's content as of now.

        Raises:
            FileNotFoundError: there is none.
        """

    def write(self, name: str, data: bytes) -> None:
        """A file, whole or not at all, durable when this returns; replaces."""

    def create(self, name: str, data: bytes) -> bool:
        """A file that nobody has made before, never seen half-written; False where somebody has."""

    def exists(self, name: str) -> bool:
        """Whether there is such a file, as of now."""

    def names(self, below: str = "") -> list[str]:
        """Every file below, relative to this place, sorted."""

    def sizes(self, below: str = "") -> dict[str, int]:
        """The same with their bytes."""

    def delete(self, name: str) -> None:
        """A file, or everything below; nothing there is fine."""

    def upload(self, folder: Path, name: str, last: str = LAST) -> None:
        """Copy a local folder's files to `name`; the one called `last` when all others are there."""

    def download(self, name: str, folder: Path) -> None:
        """Copy every file below `name` into the local `folder`; COMMIT when all others are there.

        Raises:
            FileNotFoundError: there is none.
        """


class Versioned(Place, Protocol):
    """A place whose files have versions, and no append."""

    def swap(self, name: str, data: bytes, version: str | None, mark: str) -> str | None:
        """Put a file if its version is still this one, or, without one, if there is none.

        Args:
            mark: names this very write. A put whose answer was lost is made again with the same mark and finds itself.

        Returns:
            The new version; None where another write came before.
        """


def in_order(names: list[str], last: str) -> list[str]:
    """Files as they are to be copied: those called `last` at the end."""
    return sorted(names, key=lambda name: (name.rpartition("/")[2] == last, name))
