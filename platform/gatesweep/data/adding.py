"""`gatesweep data add`: a file or folder of the user's own becomes a set of `data.dvc`: checked, pinned, pushed.

    PATH -> data/NAME (a copy) -> DVC's cache -> the DVC remote -> one `outs` entry more in data.dvc

All of it or nothing: when a step fails, `data.dvc` and `data/` are as they were.
"""

from __future__ import annotations

import csv
import logging
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..config.places import PIN_FILE
from ..errors import DataError
from . import catalogue, pins, store
from .dataset import Dataset
from .own import user_data
from .pins import Pin
from .revisions import git
from .scratch import Say, one_at_a_time, scratch

_log = logging.getLogger(__name__)
_NAME = re.compile(r"[a-z][a-z0-9-]{0,63}")
_TABLES = {".csv": ",", ".tsv": "\t"}
_FIELD_CHARS = 1 << 30  # a text may be long; Python's own limit is 131,072


@dataclass(frozen=True)
class Added:
    """What `gatesweep data add --json` prints."""

    name: str
    md5: str
    path: str
    size_bytes: int
    files: tuple[str, ...]
    was: str | None
    """The pin that it had before; None of a new set."""
    remote: str | None
    """The DVC remote that has it now; None: it is on this machine alone."""

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)


def add(path: str | Path, name: str, root: Path | None, *, replace: bool = False, push: bool = True,
        say: Say = _log.info) -> Added:
    """Pin a file or a folder as the set `name`.

    Args:
        root: the folder of `data.dvc`, or of a DVC repository that has none yet.
        replace: pin another version of a set that is pinned already.
        push: send it to the default remote, where one is set.

    Raises:
        DataError: a name that is taken, data that cannot be read or are no table where the name says so, no DVC
            repository, or a remote that does not take them. Nothing has changed then.
    """
    root = _repository(root)
    found = user_data(path)
    md5s, source = _contents(found)
    was = _check_name(name, pins.digest_of(md5s), root, replace)
    for each in sorted(md5s):
        _check_table(source / each)
    pin = Pin(name, root / "data" / name, pins.digest_of(md5s), found.size_bytes, len(md5s))
    with one_at_a_time(root / ".dvc" / "tmp", say), _undone_on_error(root, pin):
        if not _is_there(pin):
            _copy(source, md5s, pin)
        _keep_from_git(root, pin)
        store.write_pin(root, pin)
        store.enter(root, pin)
        remote = store.push(root, pin) if push else None
    return Added(name, pin.md5, str(pin.path), found.size_bytes, tuple(sorted(md5s)), was, remote)


def _repository(root: Path | None) -> Path:
    root = root or Path.cwd()
    if not store.is_tracked(root):
        raise DataError("no DVC repository here", place=str(root), hint="git init && dvc init, in the project's folder")
    return root


def _contents(found: Dataset) -> tuple[dict[str, str], Path]:
    """Relative path -> md5, and the folder that the paths count from."""
    if found.path.is_file():
        return {found.path.name: found.md5}, found.path.parent
    return pins.md5s_in(found.path), found.path


def _check_name(name: str, md5: str, root: Path, replace: bool) -> str | None:
    """The pin that the set has now."""
    if not _NAME.fullmatch(name):
        raise DataError(f"{name!r} is no name of a set", place="--name",
                        hint="small letters, digits and dashes: my-load")
    if name in catalogue.names():
        raise DataError(f"{name!r} is a set of the catalogue", place="--name", hint="take another name")
    pinned = pins.read_pins(root).get(name) if (root / PIN_FILE).is_file() else None
    if pinned is not None and pinned.md5 != md5 and not replace:
        raise DataError(f"{name!r} is pinned already, with other content: is {pinned.md5}, would be {md5}",
                        place=str(root / PIN_FILE), hint="--replace pins the new version; git keeps the old pin")
    place = root / "data" / name
    if pinned is None and pins.is_present(place) and pins.digest_of(pins.md5s_in(place)) != md5:
        raise DataError("is there already, with other content, and not pinned", place=str(place),
                        hint="move it away, or take another name")
    if git(root, "ls-files", "--error-unmatch", str(place)) is not None:
        raise DataError("is tracked by git", place=str(place), hint=f"git rm -r --cached {place}, then add it again")
    return pinned.md5 if pinned else None


def _check_table(path: Path) -> None:
    """Of a CSV or TSV: UTF-8, a header whose names differ, rows as long as it."""
    separator = _TABLES.get(path.suffix.lower())
    if separator is None:
        return
    csv.field_size_limit(_FIELD_CHARS)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file, delimiter=separator, strict=True)
            header = next(rows, [])
            twice = sorted({column for column in header if header.count(column) > 1})
            if not any(header) or twice:
                raise DataError(f"its header names {', '.join(twice)} twice" if twice else "has no header",
                                place=str(path), hint="the first line names the columns")
            for row in rows:
                if row and len(row) != len(header):
                    raise DataError(f"line {rows.line_num} has {len(row)} fields, the header {len(header)}",
                                    place=str(path), hint="a separator within a field wants quotes around the field")
    except UnicodeDecodeError as error:
        raise DataError(f"no UTF-8: byte {error.start} of a block", place=str(path), hint="iconv -t UTF-8") from error
    except csv.Error as error:
        raise DataError(f"cannot be read as a table: {error}", place=str(path),
                        hint="rename it if it is none: only .csv and .tsv are looked into") from error


def _copy(source: Path, md5s: dict[str, str], pin: Pin) -> None:
    """Whole under another name, hashed there, then renamed."""
    with scratch(pin.path.with_name(f".{pin.name}.partial"), needs_bytes=2 * (pin.size_bytes or 0)) as folder:
        made = folder / pin.name
        for each in md5s:
            (made / each).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / each, made / each)
        if pins.digest_of(pins.md5s_in(made)) != pin.md5:
            raise DataError("changed while it was copied", place=str(source), hint="add it when nobody writes to it")
        os.replace(made, pin.path)


@contextmanager
def _undone_on_error(root: Path, pin: Pin) -> Iterator[None]:
    """The set's folder makes room for the new one; it and `data.dvc` come back if anything fails."""
    place, aside = root / PIN_FILE, pin.path.with_name(f".{pin.name}.before")
    before = place.read_bytes() if place.is_file() else None
    shutil.rmtree(aside, ignore_errors=True)
    there = _is_there(pin)
    if pin.path.exists() and not there:
        os.replace(pin.path, aside)
    try:
        yield
    except BaseException:
        if not there:
            shutil.rmtree(pin.path, ignore_errors=True)
        if aside.exists():
            os.replace(aside, pin.path)
        place.unlink(missing_ok=True) if before is None else place.write_bytes(before)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _is_there(pin: Pin) -> bool:
    return pins.is_present(pin.path) and pins.digest_of(pins.md5s_in(pin.path)) == pin.md5


def _keep_from_git(root: Path, pin: Pin) -> None:
    """As `dvc add` does, an entry in `data/.gitignore`, unless git ignores the folder anyway."""
    if git(root, "rev-parse", "--git-dir") is None or git(root, "check-ignore", str(pin.path)) is not None:
        return
    with (pin.path.parent / ".gitignore").open("a", encoding="utf-8") as file:
        file.write(f"/{pin.name}\n")
