"""The md5 of a file, remembered within this process for as long as the file's stamps stay what they were.

A file is known by (device, inode) and believed while (size, mtime_ns, ctime_ns) are unchanged: a hundred trials in one
warm worker hash a set once. The kernel sets ctime at every write, and nobody can set it back, so that bytes altered
between two trials are hashed again even where `touch` gave the file its old mtime. A stamp is no finer than the
kernel's clock tick: a file that changed less than `SETTLED_S` before it was hashed is not remembered at all (git treats
its index so). What changes under the file system, on the device itself, is seen by the next process only.
"""

from __future__ import annotations

import os
import stat
import threading
import time
from pathlib import Path

from . import pins

SETTLED_S = 2.0

_Key = tuple[int, int]
_Stamps = tuple[int, int, int]
_known: dict[_Key, tuple[_Stamps, str]] = {}
_lock = threading.Lock()


def md5_of(path: Path) -> str | None:
    """The md5; None where there is no regular file (a symlink is none).

    Raises:
        OSError: the file cannot be read.
    """
    try:
        before = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not stat.S_ISREG(before.st_mode):
        return None
    key = (before.st_dev, before.st_ino)
    with _lock:
        known = _known.get(key)
    if known is not None and known[0] == _stamps(before):
        return known[1]
    started = time.time()
    md5 = pins.md5_of(path)
    settled = started - max(before.st_mtime, before.st_ctime) > SETTLED_S
    with _lock:
        _known.pop(key, None)
        if settled and _stamps(path.lstat()) == _stamps(before):
            _known[key] = (_stamps(before), md5)
    return md5


def _stamps(found: os.stat_result) -> _Stamps:
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns


def md5s_in(folder: Path) -> dict[str, str | None]:
    """Relative path -> md5 of everything below `folder` that is no folder; None for what is no regular file either.

    Raises:
        OSError: something cannot be read.
    """
    return {path.relative_to(folder).as_posix(): md5_of(path) for path in entries(folder)}


def entries(folder: Path) -> list[Path]:
    """Everything below `folder` that is not itself a folder, sorted; symlinks are entries and are not followed."""
    found: list[Path] = []
    for place, folders, files in os.walk(folder, onerror=_raise):
        links = [name for name in folders if os.path.islink(os.path.join(place, name))]
        found += [Path(place, name) for name in (*files, *links)]
    return sorted(found)


def _raise(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error
