"""A folder of a file system, local or shared (NFS): files appear whole, by rename or by link, and stay.

    write     temporary file, fsync, rename over the name, fsync of the folder
    create    temporary file, fsync, link to the name: it fails where there is one, on every client of a file server
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gatesweep.errors import StorageError
from gatesweep.storage.protocol import LAST, in_order

_TEMPORARY = ".tmp-"
_HINTS = {
    errno.EACCES: "check who owns it, and that this user may write there",
    errno.EPERM: "check who owns it, and that the file system knows hard links",
    errno.EROFS: "the file system is mounted read-only: name another folder",
    errno.ENOSPC: "free disk space there",
    errno.EDQUOT: "this user's quota is used up: free disk space there",
    errno.EOPNOTSUPP: "its file system knows no hard links: name another folder, or s3://bucket/prefix",
}


class FolderPlace:
    """See `Place`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.expanduser().absolute()

    def __repr__(self) -> str:
        return f"place({self.address!r})"

    @property
    def address(self) -> str:
        return str(self.folder)

    @property
    def local(self) -> Path:
        return self.folder

    def child(self, name: str) -> FolderPlace:
        return FolderPlace(self._at(name))

    def read(self, name: str) -> bytes:
        with told(self._at(name)):
            return self._at(name).read_bytes()

    def write(self, name: str, data: bytes) -> None:
        target = self._at(name)
        with told(target), _temporary(target, data) as temporary:
            temporary.replace(target)
            _sync(target.parent)

    def create(self, name: str, data: bytes) -> bool:
        target = self._at(name)
        with told(target):
            if target.exists():
                return False
            with _temporary(target, data) as temporary:
                try:
                    os.link(temporary, target)
                except FileExistsError:
                    # a file server may make the link, lose the answer and refuse the second request: count the links
                    return temporary.stat().st_nlink > 1
                _sync(target.parent)
                return True

    def exists(self, name: str) -> bool:
        target = self._at(name)
        with told(target):
            try:
                # opening the folder makes an NFS client ask its server; a stat alone may answer from its cache
                folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
            except (FileNotFoundError, NotADirectoryError):
                return False
            try:
                return stat.S_ISREG(os.stat(target.name, dir_fd=folder).st_mode)
            except FileNotFoundError:
                return False
            finally:
                os.close(folder)

    def names(self, below: str = "") -> list[str]:
        return sorted(path.relative_to(self.folder).as_posix() for path in self._files(below))

    def sizes(self, below: str = "") -> dict[str, int]:
        found = {}
        for path in self._files(below):
            with told(path), suppress(FileNotFoundError):  # deleted meanwhile, or a link to nothing
                found[path.relative_to(self.folder).as_posix()] = path.stat().st_size
        return dict(sorted(found.items()))

    def _files(self, below: str) -> list[Path]:
        top = self._at(below) if below else self.folder
        with told(top):
            found = [Path(folder, name) for folder, _, files in os.walk(top) for name in files]
        return [path for path in found if not path.name.startswith(_TEMPORARY)]

    def delete(self, name: str) -> None:
        target = self._at(name)
        with told(target):
            if target.is_dir() and not target.is_symlink():
                shutil.rmtree(target)
            else:
                target.unlink(missing_ok=True)

    def upload(self, folder: Path, name: str, last: str = LAST) -> None:
        for file in in_order(FolderPlace(folder).names(), last):
            _copy(folder / file, self._at(name) / file)

    def download(self, name: str, folder: Path) -> None:
        source = FolderPlace(self._at(name))
        names = source.names()
        if not names:
            raise FileNotFoundError(source.address)
        for file in in_order(names, LAST):
            _copy(source.folder / file, folder / file)

    def _at(self, name: str) -> Path:
        assert not name.startswith("/"), name
        assert ".." not in name.split("/"), name
        return self.folder / name


@contextmanager
def told(path: Path) -> Iterator[None]:
    """What the operating system refuses, as the user's error; a file that is not there stays FileNotFoundError."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        hint = _HINTS.get(error.errno or 0, "check the folder and its file system")
        raise StorageError(f"{error.strerror or error}".lower(), place=str(path), hint=hint) from error


@contextmanager
def _temporary(target: Path, data: bytes | None = None) -> Iterator[Path]:
    """A file beside `target` with its content to be, on disk; gone afterwards if it still has this name."""
    _make(target.parent)
    path = target.parent / f"{_TEMPORARY}{secrets.token_hex(8)}"
    try:
        if data is not None:
            with path.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        yield path
    finally:
        path.unlink(missing_ok=True)


def _copy(source: Path, target: Path) -> None:
    with told(target), _temporary(target) as temporary:
        shutil.copyfile(source, temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(target)
        _sync(target.parent)


def _make(folder: Path) -> None:
    """Make a folder and those above it, each entry durable."""
    if not folder.is_dir():
        _make(folder.parent)
        with suppress(FileExistsError):  # by another process, just now
            folder.mkdir()
        _sync(folder.parent)


def _sync(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
