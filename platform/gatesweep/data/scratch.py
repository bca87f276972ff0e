"""Writing so that nothing is ever half-made: a lock, a scratch folder, a rename."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import DataError

Say = Callable[[str], None]
"""Takes one line for the user."""


@contextmanager
def one_at_a_time(folder: Path, say: Say) -> Iterator[None]:
    """Hold the lock of `folder`; it ends with its process, however that ends."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / "gatesweep-pull.lock").open("a")
    except OSError as error:
        raise DataError(f"cannot write: {error.strerror}", place=str(folder),
                        hint="data is missing and has to be fetched: make this place writable") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another process is pulling data: waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def scratch(folder: Path, *, needs_bytes: int) -> Iterator[Path]:
    """An empty folder that is gone afterwards, whatever happened. The caller holds the lock of the place.

    Raises:
        DataError: there is less room than `needs_bytes`, or the disk refuses.
    """
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        free_bytes = shutil.disk_usage(folder).free
        if free_bytes < needs_bytes:
            raise OSError(errno.ENOSPC, f"needs {needs_bytes / 1e6:.0f} MB, {free_bytes / 1e6:.0f} MB are free")
        yield folder
    except OSError as error:
        raise DataError(f"cannot write: {error.strerror or error}", place=str(folder.parent),
                        hint="make room and check the permissions, or point GATESWEEP_HOME elsewhere") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def swap_in(made: Path, target: Path) -> None:
    """Put the finished folder `made` in the place of `target`, which may hold an older one."""
    old = target.with_name(f".{target.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        os.replace(target, old)
    os.replace(made, target)
    shutil.rmtree(old, ignore_errors=True)
