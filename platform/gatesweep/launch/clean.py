"""What finished sweeps leave behind, found first and deleted then; a sweep that may go on is never touched unasked."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from gatesweep.errors import ConfigError, GatesweepError, LogError, StorageError
from gatesweep.launch import submitted
from gatesweep.launch.followed import Followed, find, surroundings
from gatesweep.launch.submit import leftovers
from gatesweep.launch.submitted import belongings, forget

LEFTOVERS = ("trials", "tune", "control", "logs")
"""Below a sweep's place: checkpoints, Ray Tune's own files, requests, what trials printed. The log and report stay."""
HOUR_S = 3600.0


@dataclass
class Found:
    """Files of one origin that may go."""

    what: str
    """A sweep's id, or a folder."""

    kind: str
    size_bytes: int
    paths: list[str] = field(default_factory=list)
    delete: Callable[[], None] = field(default=lambda: None, repr=False)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"what": self.what, "kind": self.kind, "bytes": self.size_bytes, "paths": self.paths}


def age_of(text: str) -> float:
    """Seconds in `30d`, `12h` or `90m`.

    Raises:
        ConfigError: something else.
    """
    units = {"m": 60.0, "h": HOUR_S, "d": 24 * HOUR_S, "w": 7 * 24 * HOUR_S}
    number, unit = text[:-1], text[-1:]
    if unit not in units or not number.isdigit():
        raise ConfigError(f"'{text}' is no age", place="--older-than", hint="e.g. 30d, 12h or 90m")
    return int(number) * units[unit]


def look(home: Path, ids: Sequence[str], *, older_than_s: float, everything_too: bool, force: bool,
         say: Callable[[str], None]) -> list[Found]:  # fmt: skip
    """What may go.

    Args:
        ids: sweeps; none for every finished one, and for folders that killed processes left.
        everything_too: a sweep's log and report as well.
        force: sweeps that are not finished too.

    Raises:
        NotFound: a named sweep is not there.
        ConfigError: a named sweep is not finished.
    """
    found: list[Found] = []
    for sweep_id in ids or _known(home):
        try:
            followed = find(sweep_id, home)
            why = _why_not(followed, older_than_s, force)
            if why and ids:
                raise ConfigError(why, place=sweep_id, hint="--force cleans it all the same; it cannot be resumed then")
            found += [] if why else _of_sweep(followed, everything_too)
        except (StorageError, LogError, ConfigError) as error:
            if ids:
                raise
            say(f"{sweep_id}: left alone: {str(error).partition(chr(10))[0]}")
    return found if ids else [*found, *_orphans()]


def _known(home: Path) -> list[str]:
    local = [folder.name for folder in sorted((home / "sweeps").glob("*")) if folder.is_dir()]
    return list(dict.fromkeys([*local, *submitted.ids(home)]))


def _why_not(followed: Followed, older_than_s: float, force: bool) -> str | None:
    """Why a sweep is left alone."""
    if force:
        return None
    progress = followed.progress()
    if progress.ended != "done":
        return f"is not finished ({progress.state(followed.job())})"
    if followed.unsent():
        return f"the tracking store lacks some of it; `gatesweep resume {followed.sweep_id}` sends that"
    too_young = time.time() - progress.last_ms / 1000 < older_than_s
    return "is younger than --older-than" if too_young else None


def _of_sweep(followed: Followed, everything_too: bool) -> Iterator[Found]:
    place = followed.place
    below = [""] if everything_too else list(LEFTOVERS)
    with surroundings(followed.cluster):
        sizes = {name: size_bytes for folder in below for name, size_bytes in place.sizes(folder).items()}

    def delete() -> None:
        with surroundings(followed.cluster):
            for name in (_tops(sizes) if everything_too else LEFTOVERS):
                place.delete(name)
        if place.local is not None:
            _remove_empty(place.local, whole=everything_too)
        if everything_too:
            forget(followed.sweep_id, followed.home)

    remembered = [str(path) for path in belongings(followed.sweep_id, followed.home)] if everything_too else []
    if sizes or remembered:
        kind = "sweep" if everything_too else "leftovers"
        shown = [f"{place.address}/{top}" for top in _tops(sizes)]
        yield Found(followed.sweep_id, kind, sum(sizes.values()), [*shown, *remembered], delete)


def _tops(names: Iterable[str]) -> list[str]:
    return sorted({name.partition("/")[0] for name in names})


def _remove_empty(folder: Path, *, whole: bool) -> None:
    for place, _, _ in os.walk(folder, topdown=False):
        if not any(Path(place).iterdir()) and (whole or Path(place) != folder):
            Path(place).rmdir()


def _orphans() -> Iterator[Found]:
    """Temporary folders of Ray and of packages, whose processes are gone."""
    rays = [folder for folder in sorted(Path("/tmp").glob("gs-*-*")) if _owner_is_gone(folder)]
    for folder in (*rays, *leftovers(older_than_s=HOUR_S)):
        if folder.is_dir() and folder.stat().st_uid == os.getuid():
            size_bytes = sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())
            yield Found(str(folder), "temporary", size_bytes, [str(folder)], partial(shutil.rmtree, folder))


def _owner_is_gone(folder: Path) -> bool:
    owner = folder.name.split("-")[1]
    return owner.isdigit() and not psutil.pid_exists(int(owner))


def clean(found: Sequence[Found], say: Callable[[str], None]) -> int:
    """Delete; returns the bytes that are free now. What cannot be deleted is said, and the rest goes on."""
    freed = 0
    for each in found:
        try:
            each.delete()
            freed += each.size_bytes
        except (GatesweepError, OSError) as error:
            say(f"{each.what}: not deleted: {str(error).partition(chr(10))[0]}")
    return freed
