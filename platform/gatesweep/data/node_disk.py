"""A node's folder: where it is, its locks, and one clear error where its disk refuses.

    locked     one process and thread of the machine at a time; ends with its process, however that ends
    claimed    a mark that many share, kept until the process ends: what is claimed is not thrown away
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import stat
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import DataError, NodeDiskError
from .scratch import Say

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_READ_ONLY = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
_HINT = "make room, or set GATESWEEP_NODE_FOLDER (node_folder of the cluster's file) to a folder with room"
_claims: dict[Path, int] = {}
_claims_lock = threading.Lock()


def node_folder() -> Path:
    """$GATESWEEP_NODE_FOLDER, else a folder of this user's own in the system's temporary one.

    Raises:
        NodeDiskError: somebody else made the folder in the temporary one.
    """
    named = os.environ.get("GATESWEEP_NODE_FOLDER")
    if named:
        return Path(named).expanduser().resolve()
    folder = Path(tempfile.gettempdir()) / f"gatesweep-node-{os.getuid()}"
    with disk_errors(folder):
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise NodeDiskError("is not a folder that this user alone can write to", place=str(folder),
                            hint="remove it, or set GATESWEEP_NODE_FOLDER to a folder of your own")
    return folder


def free_bytes(folder: Path) -> int:
    """What may still be written on the disk of `folder`, of which some part exists."""
    there = next(each for each in (folder, *folder.parents) if each.exists())
    return shutil.disk_usage(there).free


@contextmanager
def disk_errors(folder: Path, needs_bytes: int | None = None) -> Iterator[None]:
    """Turn what the disk of `folder` refuses into a `NodeDiskError`."""
    try:
        yield
    except OSError as error:
        raise disk_error(error, folder, needs_bytes) from error


def disk_error(error: OSError, folder: Path, needs_bytes: int | None = None) -> DataError:
    """`error` in words: the folder, what is needed, what is free."""
    why = error.strerror or str(error)
    if error.errno in _READ_ONLY:
        why = f"cannot be written: {why}"
    needed = "" if needs_bytes is None else f"; {_megabytes(needs_bytes)} needed"
    with suppress(OSError, StopIteration):
        needed += f"; {_megabytes(free_bytes(folder))} free"
    return NodeDiskError(why + needed, place=f"{folder}, where this node keeps its data", hint=_HINT)


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:,.1f} MB"


@contextmanager
def locked(file: Path, say: Say) -> Iterator[None]:
    """Hold `file`'s lock alone.

    Raises:
        OSError: it cannot be made.
    """
    descriptor = _flock(file, fcntl.LOCK_EX, say)
    try:
        yield
    finally:
        _let_go(descriptor)


def claim(file: Path) -> None:
    """Share `file`'s lock until this process ends, and stamp it with the time.

    Where the disk is read-only and nobody has made the file there is nothing to hold: nobody can throw away either.
    """
    with _claims_lock:
        held = _claims.get(file)
        if held is None or not _is_at(held, file):
            if held is not None:
                _let_go(_claims.pop(file))
            try:
                _claims[file] = _flock(file, fcntl.LOCK_SH, lambda line: None)
            except OSError as error:
                if error.errno not in _READ_ONLY:
                    raise
    with suppress(OSError):
        os.utime(file)


@contextmanager
def unclaimed(file: Path) -> Iterator[bool]:
    """Whether no process, this one included, has claimed `file`; none can while this is held."""
    descriptor = _open(file)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        _let_go(descriptor)


def _flock(file: Path, kind: int, say: Say) -> int:
    """A descriptor that holds the lock of what lies at `file`: the folder may be removed while one waits."""
    while True:
        descriptor = _open(file)
        try:
            try:
                fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            except BlockingIOError:
                say(f"another process is bringing data to {file.parent}: waiting for it")
                fcntl.flock(descriptor, kind)
            if _is_at(descriptor, file):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _open(file: Path) -> int:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        return os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        if error.errno in _READ_ONLY and file.exists():
            return os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        raise


def _is_at(descriptor: int, file: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), file.stat())
    except FileNotFoundError:
        return False


def _let_go(descriptor: int) -> None:
    """Unlock, then close: a process forked in between holds the same description, and would keep the lock."""
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)
