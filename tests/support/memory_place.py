"""Shared storage in this process's memory: files with versions and no append, as on an object store."""

from __future__ import annotations

import threading
from pathlib import Path


class MemoryPlace:
    """A `Versioned` place; `children` of it share its files."""

    local = None

    def __init__(self, address: str = "memory://sweep") -> None:
        self.address = address
        self.files: dict[str, tuple[bytes, str, int]] = {}  # content, mark, version
        self._lock = threading.Lock()
        self._versions = 0

    def child(self, name: str) -> MemoryPlace:
        raise NotImplementedError(name)

    def read(self, name: str) -> bytes:
        with self._lock:
            if name not in self.files:
                raise FileNotFoundError(name)
            return self.files[name][0]

    def write(self, name: str, data: bytes) -> None:
        with self._lock:
            self._put(name, data, "")

    def create(self, name: str, data: bytes) -> bool:
        return self.swap(name, data, None, "") is not None

    def swap(self, name: str, data: bytes, version: str | None, mark: str) -> str | None:
        with self._lock:
            there = self.files.get(name)
            if there and mark and there[1] == mark:
                return str(there[2])
            if (str(there[2]) if there else None) != version:
                return None
            return self._put(name, data, mark)

    def _put(self, name: str, data: bytes, mark: str) -> str:
        self._versions += 1
        self.files[name] = (data, mark, self._versions)
        return str(self._versions)

    def exists(self, name: str) -> bool:
        with self._lock:
            return name in self.files

    def names(self, below: str = "") -> list[str]:
        with self._lock:
            return sorted(name for name in self.files if not below or name.startswith(f"{below}/"))

    def sizes(self, below: str = "") -> dict[str, int]:
        return {name: len(self.read(name)) for name in self.names(below)}

    def delete(self, name: str) -> None:
        for found in [name, *self.names(name)]:
            self.files.pop(found, None)

    def upload(self, folder: Path, name: str, last: str = "COMMIT") -> None:
        raise NotImplementedError(name)

    def download(self, name: str, folder: Path) -> None:
        raise NotImplementedError(name)
