"""A segment while it is written: a file that is appended to, or an object that is put again."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar, cast

from gatesweep.errors import LogError, StorageAway, StorageError
from gatesweep.storage import Place, Versioned
from gatesweep.storage.folder import told
from gatesweep.track.segments import name_of

SEGMENT_BYTES = 256 << 10
"""An object is put again whole for each line: past this size, a new one is begun."""
OUTAGE_S = 60.0
"""How long an append to an object store that does not answer is tried again."""
T = TypeVar("T")


class Segment(Protocol):
    """A claimed segment, open to write."""

    @property
    def size(self) -> int:
        """In bytes."""

    @property
    def is_full(self) -> bool:
        """Whether the next line should begin another."""

    def restart(self, line: bytes) -> None:
        """Replace what the claim wrote."""

    def append(self, line: bytes) -> None:
        """Add a line; it is on disk when this returns."""

    def close(self) -> None:
        """Let it go."""


def claim(where: Place, fence: int, line: bytes) -> Segment | None:
    """A new segment with this first line; None where another opening has that number."""
    if where.local is not None:
        if not where.create(name_of(fence), line):
            return None
        return _File(where, where.local / name_of(fence), line)
    return _Object.claimed(cast(Versioned, where), name_of(fence), line)


class _File:
    """Of a folder: appended to and synced."""

    def __init__(self, where: Place, path: Path, line: bytes) -> None:
        self._where, self._path, self._size = where, path, len(line)
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND)

    @property
    def size(self) -> int:
        return self._size

    @property
    def is_full(self) -> bool:
        return False

    def restart(self, line: bytes) -> None:
        self._where.write(self._path.name, line)
        claimed, self._file = self._file, os.open(self._path, os.O_WRONLY | os.O_APPEND)
        os.close(claimed)
        self._size = len(line)

    def append(self, line: bytes) -> None:
        with told(self._path):
            if os.write(self._file, line) != len(line):
                raise StorageError("the disk took only part of a line", place=str(self._path),
                                   hint="free disk space, then resume")
            os.fdatasync(self._file)
        self._size += len(line)

    def close(self) -> None:
        os.close(self._file)


class _Object:
    """Of an object store: put again whole, if nobody else has put it since. A put that arrives late changes nothing."""

    def __init__(self, where: Versioned, name: str, data: bytes, version: str) -> None:
        self._where, self._name, self._data, self._version = where, name, data, version
        self._doubtful: tuple[bytes, str] | None = None
        """A put that was interrupted, and its mark: it may have arrived, or may yet."""

    @classmethod
    def claimed(cls, where: Versioned, name: str, data: bytes) -> _Object | None:
        mark = secrets.token_hex(8)
        version = patiently(lambda: where.swap(name, data, None, mark))
        return None if version is None else cls(where, name, data, version)

    @property
    def size(self) -> int:
        return len(self._data)

    @property
    def is_full(self) -> bool:
        return len(self._data) >= SEGMENT_BYTES

    def restart(self, line: bytes) -> None:
        self._put(line)

    def append(self, line: bytes) -> None:
        self._settle()
        self._put(self._data + line)

    def _put(self, data: bytes) -> None:
        self._doubtful = data, secrets.token_hex(8)
        self._settle()

    def _settle(self) -> None:
        """Make sure of the put that is under way."""
        if self._doubtful is None:
            return
        data, mark = self._doubtful
        version = patiently(lambda: self._where.swap(self._name, data, self._version, mark))
        if version is None:
            raise LogError("somebody else has written this segment", place=f"{self._where.address}/{self._name}",
                           hint="resume once nothing but gatesweep writes there")
        self._data, self._version, self._doubtful = data, version, None

    def close(self) -> None:
        """Nothing is held open."""


def patiently(call: Callable[[], T]) -> T:
    """What `call` returns; where the storage does not answer, asked again for `OUTAGE_S`.

    Raises:
        StorageAway: it still does not.
    """
    deadline = time.monotonic() + OUTAGE_S
    while True:
        try:
            return call()
        except StorageAway:
            if time.monotonic() > deadline:
                raise
            time.sleep(1.0)
