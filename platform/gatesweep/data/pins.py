"""The pins of `data.dvc`, read and held against the bytes without importing DVC.

DVC's digest of a folder, computed here as DVC computes it (dvc_data.hashfile.tree):

    md5(folder) = md5( json( [{"md5": md5(bytes), "relpath": path} … sorted by relpath] ) ) + ".dir"
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ..config.places import PIN_FILE, find_root, home
from ..errors import DataError
from . import catalogue


@dataclass(frozen=True)
class Pin:
    """One `outs` entry of `data.dvc`."""

    name: str
    path: Path
    """The folder, absolute."""

    md5: str
    """With its `.dir`."""

    size_bytes: int | None
    files: int | None


@dataclass(frozen=True)
class Difference:
    """One file that is not what the pin says; `was` is the pinned md5, `is_` that of the bytes; None: there is none."""

    file: str
    was: str | None
    is_: str | None

    def __str__(self) -> str:
        if self.is_ is None:
            return f"{self.file}: missing (was md5 {self.was})"
        if self.was is None:
            return f"{self.file}: not part of the set (is md5 {self.is_})"
        return f"{self.file}: altered: was md5 {self.was}, is {self.is_}"


def read_pins(root: Path) -> dict[str, Pin]:
    """Name -> pin, for the `outs` that are folders or files named by their last part.

    Raises:
        DataError: `data.dvc` cannot be read.
    """
    place = root / PIN_FILE
    try:
        return pins_in(place.read_text(encoding="utf-8"), root, str(place))
    except OSError as error:
        raise _unreadable(error, str(place)) from error


def pins_in(text: str, root: Path, place: str) -> dict[str, Pin]:
    """The pins that a `data.dvc` of this text holds, below `root`; `place` names it in errors."""
    try:
        document = yaml.safe_load(text)
        outs: list[dict[str, Any]] = document["outs"]
        return {pin.name: pin for pin in (_pin(root, document, out) for out in outs)}
    except (yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise _unreadable(error, place) from error


def _unreadable(error: Exception, place: str) -> DataError:
    return DataError(f"cannot be read as a DVC file: {error!r}", place=place,
                     hint=f"restore it: git checkout {PIN_FILE}")


def _pin(root: Path, document: dict[str, Any], out: dict[str, Any]) -> Pin:
    path = root / str(document.get("wdir", ".")) / out["path"]
    return Pin(path.name, path, str(out["md5"]), out.get("size"), out.get("nfiles"))


def expected(name: str, root: Path | None) -> Pin:
    """What the set must be: the pin where `data.dvc` has one, else the catalogue's own hashes.

    Raises:
        DataError: neither knows the set.
    """
    pinned = read_pins(root) if root else {}
    if name in pinned:
        return pinned[name]
    if name not in catalogue.names():
        raise catalogue.unknown(name, sorted({*catalogue.names(), *pinned}))
    entry = catalogue.entry(name)
    return Pin(name, (root or home()) / "data" / name, digest_of(entry.md5s), entry.size_bytes, len(entry.files))


def md5_of(path: Path) -> str:
    """The md5 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def digest_of(md5s: Mapping[str, str]) -> str:
    """DVC's digest of a folder from the md5s of its files, by path relative to it."""
    listing = [{"md5": md5s[path], "relpath": path} for path in sorted(md5s)]
    return hashlib.md5(json.dumps(listing, sort_keys=True).encode(), usedforsecurity=False).hexdigest() + ".dir"


def md5s_in(folder: Path) -> dict[str, str]:
    """Relative path -> md5, for every file below `folder`."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): md5_of(path) for path in files}


def manifest(pin: Pin, root: Path | None) -> dict[str, str] | None:
    """Relative path -> pinned md5: from the catalogue, else from DVC's cache; None when neither has this version."""
    if pin.name in catalogue.names():
        declared = catalogue.entry(pin.name).md5s
        if digest_of(declared) == pin.md5:
            return declared
    cached = cached_file(root, pin.md5) if root else None
    if cached is None or not cached.is_file():
        return None
    listed = {str(each["relpath"]): str(each["md5"]) for each in json.loads(cached.read_text(encoding="utf-8"))}
    return listed if digest_of(listed) == pin.md5 else None


def cached_file(root: Path, md5: str) -> Path:
    """Where DVC's cache of a repository keeps the bytes of this md5, unless it is set up elsewhere."""
    return root / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]


def differences(pin: Pin, root: Path | None) -> list[Difference]:
    """What in the pin's folder is not as pinned, file by file; the folder itself where its manifest is not known."""
    actual = md5s_in(pin.path)
    if digest_of(actual) == pin.md5:
        return []
    pinned = manifest(pin, root)
    if pinned is None:
        return [Difference(str(pin.path), pin.md5, digest_of(actual))]
    return [Difference(str(pin.path / path), pinned.get(path), actual.get(path))
            for path in sorted({*pinned, *actual}) if pinned.get(path) != actual.get(path)]


def is_present(folder: Path) -> bool:
    """Whether the folder holds anything at all."""
    return folder.is_dir() and any(folder.iterdir())


def verify(name: str, *, root: Path | None = None) -> list[Difference]:
    """Re-hash a set and name what differs; an empty list is a verified set.

    Raises:
        DataError: the set is unknown or not present.
    """
    root = root or find_root()
    pin = expected(name, root)
    if not is_present(pin.path):
        raise DataError("not present", place=str(pin.path), hint=f"gatesweep data pull {name}")
    return differences(pin, root)
