"""The data of a run again: by their pins, or a user's own files as they were. Checked before anything is trained.

    a set that the tree pins         the training itself fetches and verifies it
    of a set of the user's own       fetched here by the tree's pin, where the run read it as it was pinned
    a file of the project's folder   copied into the tree, for git does not have it
    any other file                   where it lies
    moved                            where `--set data.path=…` says
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from gatesweep.config.places import PIN_FILE
from gatesweep.data import catalogue
from gatesweep.data.fetch import pull
from gatesweep.data.own import user_data
from gatesweep.data.pins import Pin, cached_file, manifest, read_pins
from gatesweep.data.store import is_tracked
from gatesweep.errors import DataError
from gatesweep.track.lineage import LockedSet

MOVED = "data.path"


def bring(sets: Sequence[LockedSet], top: Path, root: Path, *, run: str, moved: Path | None = None,
          path: str | None = None, say: Callable[[str], None] = lambda line: None) -> None:  # fmt: skip
    """See to it that a tree's training finds what the run read.

    Args:
        top: of the tree.
        root: the folder whose files are copied where git has none.
        run: whose data they are, for messages.
        moved: where the file or folder that the configuration calls `path` lies now.

    Raises:
        DataError: what was altered, is not there, or is pinned anew.
    """
    pins = read_pins(top) if (top / PIN_FILE).is_file() else {}
    for each in sets:
        if each.name in pins and pins[each.name].md5 == each.md5:
            continue
        if ".." in Path(each.path).parts:
            raise DataError(f"'{each.path}' leads out of the project", place=f"run {run}: lock.json",
                            hint="was the lock altered?")
        if each.name in pins:
            raise DataError(f"the run read {each.md5}, and the tree pins {pins[each.name].md5}", place=each.name,
                            hint="--here needs the recorded pin: git checkout it, or leave --here out")
        if moved is not None and path is not None and Path(path).name == Path(each.path).name:
            _refuse_altered(moved, each)
        else:
            _bring(each, pins, top, root, say)


def _bring(each: LockedSet, pins: dict[str, Pin], top: Path, root: Path, say: Callable[[str], None]) -> None:
    place = top / each.path  # an absolute path stays what it is
    around = next((pin for pin in pins.values() if place.is_relative_to(pin.path)), None)
    if around is not None and top != root and _fetched(each, around, place, top, say):
        return
    there = place if place.exists() or Path(each.path).is_absolute() else root / each.path
    if not there.exists() and each.name in catalogue.names():
        return  # of a project that pins nothing: the training fetches it
    if not (there.exists() and user_data(there).md5 == each.md5) and _cached(each, place, top, root, say):
        return
    if not there.exists():
        raise DataError(f"is not there any more; the run read what has the md5 {each.md5}", place=str(there),
                        hint=f"put it back, or say where it lies now: --set {MOVED}=…")
    _refuse_altered(there, each)
    if there != place:
        place.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if there.is_dir() else shutil.copyfile)(there, place)


def _cached(each: LockedSet, place: Path, top: Path, root: Path, say: Callable[[str], None]) -> bool:
    """Whether DVC's cache still had these bytes, for a set that was pinned and never committed, and the tree has them.

    A file of the working folder is not written over.
    """
    if not place.is_relative_to(top) or top == root or not is_tracked(root):
        return False
    folder = each.md5.endswith(".dir")
    names = manifest(Pin(place.name, place, each.md5, None, None), root) if folder else {"": each.md5}
    found = {name: cached_file(root, md5) for name, md5 in (names or {}).items()}
    if not found or not all(path.is_file() for path in found.values()):
        return False
    for name, path in found.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place / name if name else place)
    say(f"{each.name}: out of DVC's cache, by its md5")
    return user_data(place).md5 == each.md5


def _fetched(each: LockedSet, pin: Pin, place: Path, top: Path, say: Callable[[str], None]) -> bool:
    """Whether the pinned version of the set is to be had, and is what the run read of it; else nothing is left."""
    try:
        pull(pin.name, root=top, say=say)
    except DataError as error:
        say(f"{pin.name}, as this commit pins it: {error.message}")
        return False
    if place.exists() and user_data(place).md5 == each.md5:
        return True
    shutil.rmtree(pin.path)
    return False


def _refuse_altered(there: Path, each: LockedSet) -> None:
    if user_data(there).md5 != each.md5:
        raise DataError(f"was altered since the run read it: its md5 was {each.md5}, and is another", place=str(there),
                        hint=f"put the old bytes back, from a backup or dvc; if they are elsewhere: --set {MOVED}=…")
