"""DVC's listing of a folder, the object `<md5>.dir`: believed only when its bytes are the canonical ones of its md5.

    [{"md5": "…", "relpath": "a/b.csv"}, …]     sorted by relpath

Anything else in it (another key, a path named twice) changes the bytes, and so is refused by the digest.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import PurePosixPath

from ..errors import DataError
from .pins import digest_of

_MD5 = re.compile(r"[0-9a-f]{32}")
_OBJECT = re.compile(r"[0-9a-f]{32}(\.dir)?")


def is_md5(name: str) -> bool:
    """Whether `name` is an object's: 32 hex digits, for a listing with `.dir` after them."""
    return _OBJECT.fullmatch(name) is not None


def canonical(md5s: Mapping[str, str]) -> bytes:
    """The listing of these files (relative path -> md5) as DVC writes it."""
    return json.dumps([{"md5": md5s[path], "relpath": path} for path in sorted(md5s)], sort_keys=True).encode()


def read_listing(data: bytes, md5: str, *, place: str) -> dict[str, str]:
    """Relative path -> md5.

    Args:
        md5: the listing's own name, with its `.dir`.
        place: for the message.

    Raises:
        DataError: no listing, not the one of `md5`, or a path that leads out of the set.
    """
    try:
        files = {str(each["relpath"]): str(each["md5"]) for each in json.loads(data)}
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(f"not a listing as DVC writes it: {error!r}", place=place) from error
    for path, digest in files.items():
        if not _stays_inside(path):
            raise DataError(f"names a file outside the set: {path!r}", place=place,
                            hint="do not trust who made this set")
        if not _MD5.fullmatch(digest):
            raise DataError(f"{path}: {digest!r} is no md5", place=place)
    _refuse_files_below_files(files, place)
    if not files or digest_of(files) != md5:
        raise DataError(f"not the listing of {md5}, or not as DVC 3 writes it", place=place)
    return files


def _stays_inside(path: str) -> bool:
    pure = PurePosixPath(path)
    return path == str(pure) and not pure.is_absolute() and "\0" not in path and not {"..", "."} & {*pure.parts, path}


def _refuse_files_below_files(files: Mapping[str, str], place: str) -> None:
    for path in files:
        above = next((str(each) for each in PurePosixPath(path).parents if str(each) in files), None)
        if above:
            raise DataError(f"{path!r} lies below {above!r}, which is a file", place=place)
