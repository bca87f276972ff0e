"""A user's own file or folder as a data set: read where it lies, known by its digest.

    file      md5 of its bytes
    folder    DVC's digest of a folder (see `pins`), over every plain file below it, hidden ones too

A symlink is refused: what it leads to may change without the folder, and does not travel to a cluster.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from ..config.places import find_root
from ..errors import DataError
from . import hashing, pins
from .dataset import Dataset, fetcher


def user_data(path: str | Path) -> Dataset:
    """A file or a folder, whichever it is.

    Raises:
        DataError: as `user_file` and `user_folder`.
    """
    return user_folder(path) if Path(path).expanduser().is_dir() else user_file(path)


def user_file(path: str | Path) -> Dataset:
    """A user's own file; its md5 identifies it.

    Raises:
        DataError: there is no such file, it is empty, or it cannot be read.
    """
    place = Path(path).expanduser().resolve()
    if place.is_dir():
        raise DataError("is a folder, and a file is wanted here", place=str(path))
    if not place.is_file():
        return _brought(path, "file")
    size_bytes = place.stat().st_size
    if not size_bytes:
        raise DataError("the file is empty", place=str(path))
    try:
        md5 = pins.md5_of(place)
    except OSError as error:
        raise _unreadable(error, place) from error
    return Dataset(place.name, place, md5, size_bytes, (place.name,), own=True)


def user_folder(path: str | Path) -> Dataset:
    """A user's own folder; its digest is the one that `dvc add` would give it.

    Raises:
        DataError: there is no such folder, it holds no file, a symlink, a device, or something that cannot be read.
    """
    place = Path(path).expanduser().resolve()
    if place.is_file():
        raise DataError("is a file, and a folder is wanted here", place=str(path))
    if not place.is_dir():
        return _brought(path, "folder")
    try:
        entries = hashing.entries(place)
        for each in entries:
            _refuse_other_than_file(each)
        md5s = {each.relative_to(place).as_posix(): pins.md5_of(each) for each in entries}
        size_bytes = sum(each.stat().st_size for each in entries)
    except OSError as error:
        raise _unreadable(error, place) from error
    if not md5s:
        raise DataError("the folder holds no file", place=str(path))
    return Dataset(place.name, place, pins.digest_of(md5s), size_bytes, tuple(sorted(md5s)), own=True)


def _refuse_other_than_file(path: Path) -> None:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        raise DataError(f"is a symlink, to {os.readlink(path)!r}: it would not travel with the folder, nor count in "
                        "its digest", place=str(path), hint="put the file itself there: cp -L")
    if not stat.S_ISREG(mode):
        raise DataError("is no plain file", place=str(path), hint="remove it from the folder")


def _brought(path: str | Path, what: str) -> Dataset:
    """What the node's cache has for a path of the driver's."""
    other = fetcher()
    found = other.own_file(path) if other is not None else None
    if found is None:
        pin = set_around(path)
        raise DataError(f"no such {what}", place=str(path),
                        hint=f"gatesweep data pull {pin.name} brings it" if pin else f"paths count from {Path.cwd()}")
    return found


def set_around(path: str | Path) -> pins.Pin | None:
    """The pinned set of `data.dvc` that a path is, or belongs to."""
    asked, root = Path(path).expanduser(), find_root()
    found = pins.read_pins(root).values() if root else ()
    places = (asked.absolute(), asked.resolve())
    return next((pin for pin in found if any(place.is_relative_to(pin.path) for place in places)), None)


def _unreadable(error: OSError, place: Path) -> DataError:
    return DataError(f"cannot be read: {error.strerror or error}", place=str(error.filename or place),
                     hint="check its permissions")
