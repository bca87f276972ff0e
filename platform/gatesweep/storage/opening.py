"""From an address to a place."""

from __future__ import annotations

from pathlib import Path

from gatesweep.errors import StorageError
from gatesweep.storage.folder import FolderPlace
from gatesweep.storage.protocol import Place


def place(address: str | Path) -> Place:
    """The folder at a path, or at `file://…`, or the prefix at `s3://bucket/prefix`. Nothing is asked or made yet.

    Raises:
        StorageError: another kind of address, or one without a bucket.
    """
    kind, separator, rest = str(address).partition("://")
    if not separator:
        return FolderPlace(Path(address))
    if kind == "file" and rest.startswith("/"):
        return FolderPlace(Path(rest))
    if kind != "s3":
        raise StorageError(f"no kind of storage is called '{kind}'", place=str(address),
                           hint="name a folder that every node reaches, or s3://bucket/prefix")
    from gatesweep.storage.s3 import S3Place

    return S3Place(rest)
