"""A DVC remote written by hand, an origin that notes who fetched what, and processes that use a node's cache."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import shutil
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gatesweep.data.node import NodeCache, Pinned
from gatesweep.errors import DataError

FILES = {"a.csv": b"time,load\n0,1\n", "deep/er/b.csv": b"x" * 70_000, "empty.csv": b"", "ü x.csv": b"3\n"}
"""Files of a set: in folders, empty, with a name beyond ASCII."""

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["remotes"])


def put(remote: Path, data: bytes, suffix: str = "") -> str:
    """Store an object in DVC 3's layout; gives its md5."""
    md5 = hashlib.md5(data).hexdigest()
    place = remote / "files" / "md5" / md5[:2] / (md5[2:] + suffix)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(data)
    return md5 + suffix


def put_set(remote: Path, files: Mapping[str, bytes] = FILES) -> Pinned:
    """Store a set, the listing as DVC 3.67 writes it."""
    entries = [{"md5": put(remote, data), "relpath": path} for path, data in sorted(files.items())]
    listing = ", ".join(f'{{"md5": "{each["md5"]}", "relpath": {json.dumps(each["relpath"])}}}' for each in entries)
    return Pinned(put(remote, f"[{listing}]".encode(), ".dir"), sum(map(len, files.values())))


@dataclass
class NotedOrigin:
    """A folder in DVC's layout whose every fetch is noted in a file, and may be slow."""

    remote: Path
    pause_s: float = 0.0
    address: str = field(default="a noted origin", init=False)

    @property
    def fetched(self) -> list[str]:
        """The md5s of all fetches, by any process."""
        notes = self.remote / "fetched"
        return notes.read_text().split() if notes.exists() else []

    def fetch(self, md5: str, target: Path) -> None:
        """See `gatesweep.data.origin.Origin`; in two halves, with a pause before each."""
        with (self.remote / "fetched").open("a") as notes:
            notes.write(f"{md5}\n")
        source = self.remote / "files" / "md5" / md5[:2] / md5[2:]
        if not source.exists():
            raise DataError(f"does not hold {md5}", place=self.address)
        time.sleep(self.pause_s)
        data = source.read_bytes()
        with target.open("wb") as file:
            file.write(data[:len(data) // 2])
            file.flush()
            time.sleep(self.pause_s)
            file.write(data[len(data) // 2:])


def bring(folder: Path, origin: NotedOrigin, sets: dict[str, Pinned], answers: Path | None = None) -> None:
    """What a worker process does: bring every set, and note what it read."""
    cache = NodeCache(folder, origin, pinned=sets)
    for name in sets:
        read = contents(cache(name).path)
        if answers is not None:
            (answers / f"{name}-{time.monotonic_ns()}").write_text(repr(sorted(read.items())))


def bring_until(step: int, folder: Path, origin: NotedOrigin, sets: dict[str, Pinned]) -> None:
    """As `bring`, killed just before this process changes something below `folder` for the `step`-th time."""
    changes = {"os.chmod", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.utime"}
    left = [step]

    def look(event: str, arguments: tuple[object, ...]) -> None:
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if (event in changes or writes) and str(arguments[0]).startswith(str(folder)):
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(look)
    bring(folder, origin, sets)


def hold(folder: Path, remote: Path, name: str, pinned: Pinned, ready: Path) -> None:
    """A worker process that has a set open and goes on living."""
    NodeCache(folder, NotedOrigin(remote), pinned={name: pinned})(name)
    ready.touch()
    time.sleep(600)


def contents(folder: Path) -> dict[str, bytes]:
    """Relative path -> bytes."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def objects_in(folder: Path) -> dict[str, bytes]:
    """md5 by name -> bytes of the objects of a node's folder."""
    return {path.parent.name + path.name: path.read_bytes() for path in (folder / "data/files/md5").glob("??/*")}


def copy_of(remote: Path, target: Path) -> Path:
    """The remote elsewhere."""
    shutil.copytree(remote / "files", target / "files")
    return target
