"""What another version of a set held, file by file: the listing that its digest stands for, from wherever it still is.

    listing_of(md5, …)   the catalogue -> DVC's cache -> the folder as it lies there now -> the DVC remote
    changes(was, now)    which files were added, removed, altered

Only the listing is ever fetched, some hundred bytes a file, never the files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import DataError
from . import hashing, objects
from .pins import Pin, digest_of, manifest


@dataclass(frozen=True)
class Changes:
    """Paths within the set, in order."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    altered: tuple[str, ...]


def changes(was: Mapping[str, str], now: Mapping[str, str]) -> Changes:
    """Of two listings, path -> md5."""
    both = was.keys() & now.keys()
    return Changes(tuple(sorted(now.keys() - both)), tuple(sorted(was.keys() - both)),
                   tuple(sorted(path for path in both if was[path] != now[path])))


def listing_of(name: str, md5: str, path: Path, root: Path | None) -> dict[str, str]:
    """Path -> md5 of every file of that version.

    Args:
        md5: the pin, with its `.dir`; that of a single file is its own listing.
        path: where the set lies or lay, absolute.
        root: the folder of `data.dvc`.

    Raises:
        DataError: the listing is nowhere to be had; the message says where it was looked for.
    """
    if not md5.endswith(".dir"):
        return {name: md5}
    known = manifest(Pin(name, path, md5, None, None), root)
    return known or _lying_there(path, md5) or _stored(name, md5, path, root)


def _lying_there(folder: Path, md5: str) -> dict[str, str] | None:
    """The folder's own listing, if it has this digest today."""
    if not folder.is_dir():
        return None
    try:
        found = {path: each for path, each in hashing.md5s_in(folder).items() if each is not None}
    except OSError:  # what cannot be read is no witness
        return None
    return found if digest_of(found) == md5 else None


def _stored(name: str, md5: str, path: Path, root: Path | None) -> dict[str, str]:
    said: list[str] = []
    with objects.opened(root, said.append) as known:
        found = known.listing(Pin(name, path, md5, None, None))
        if found is None:
            why = f" ({said[-1]})" if said else ""
            raise DataError(f"the listing of {md5} is neither that of the files at hand nor in {known.places}{why}",
                            place=name, hint=None if known.remote else "dvc remote add -d … names what may have it")
    return found
