"""What a node keeps: objects by their md5, laid out as DVC lays out a cache, and the sets made of them.

    <folder>/files/md5/ab/cdef…        an object, read-only; a listing has `.dir` at its end
    <folder>/sets/<md5>/<name>/…       a set: hard links to its objects, or copies where the disk knows no links
    <folder>/claims/<md5>              locked (shared) by each process that uses the set; its mtime is the last use
    <folder>/lock                      whoever changes anything here holds it
    <folder>/tmp/                      what its holder has in hand; what a killed one left is swept out by the next

Everything gets its name by a rename, when it is whole: nothing half-made is ever visible.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ..errors import DataError
from . import hashing
from .listing import is_md5
from .node_disk import FULL, claim, locked
from .origin import Origin
from .pins import digest_of
from .scratch import Say


class Shelf:
    """The folder; every method but `claim` and `holds` wants the lock held."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.objects, self.sets, self.tmp = folder / "files" / "md5", folder / "sets", folder / "tmp"

    def object_at(self, md5: str) -> Path:
        """Where the object is or would be."""
        return self.objects / md5[:2] / md5[2:]

    def set_at(self, md5: str, name: str) -> Path:
        """Where the set (or the single file) is or would be."""
        return self.sets / md5 / name

    def claim_at(self, md5: str) -> Path:
        """The mark of those who use the set."""
        return self.folder / "claims" / md5

    def claim(self, md5: str) -> None:
        """From now on, and as long as this process lives, nobody throws the set away."""
        claim(self.claim_at(md5))

    def holds(self, md5: str, name: str) -> bool:
        """Whether the set is there with exactly its bytes, which are hashed now (see `hashing`)."""
        place = self.set_at(md5, name)
        if not md5.endswith(".dir"):
            return hashing.md5_of(place) == md5
        if place.is_symlink() or not place.is_dir():
            return False
        found = hashing.md5s_in(place)
        files = {path: each for path, each in found.items() if each is not None}
        return len(files) == len(found) and digest_of(files) == md5

    @contextmanager
    def locked(self, say: Say) -> Iterator[None]:
        """Hold the lock of the folder, with `tmp` empty."""
        with locked(self.folder / "lock", say):
            self.tmp.mkdir(exist_ok=True)  # and it stays: on a full disk it could not be made again
            for left in self.tmp.iterdir():
                _remove(left)
            yield

    def bring(self, md5: str, origin: Origin, say: Say) -> Path:
        """The object, out of what is here or out of `origin`; only the bytes of its name are ever put here.

        Raises:
            DataError: the origin does not deliver it, or delivers other bytes.
            OSError: the disk refuses.
        """
        place, wanted = self.object_at(md5), md5.removesuffix(".dir")
        if hashing.md5_of(place) == wanted:
            return place
        if os.path.lexists(place):
            say(f"the object {md5} is damaged in {self.folder}: fetching it again")
            _remove(place)
        got = self.tmp / md5
        try:
            origin.fetch(md5, got)
            found = hashing.md5_of(got)
            if found != wanted:
                raise DataError(f"delivers other bytes for the object {md5}: expected md5 {wanted}, got {found}",
                                place=origin.address, hint="restore the object there: dvc push, from a sound cache")
            got.chmod(0o444)
            place.parent.mkdir(parents=True, exist_ok=True)
            got.rename(place)
        finally:
            got.unlink(missing_ok=True)
        return place

    def lay_out(self, md5: str, name: str, objects: Mapping[str, Path], say: Say) -> None:
        """Make the set of these objects (by path; a single file has the path `""`), or mend the one that is there.

        Raises:
            OSError: the disk refuses.
        """
        place = self.set_at(md5, name)
        if os.path.lexists(place) and not place.is_symlink() and place.is_dir() == ("" not in objects):
            return self._mend(place, objects, say)
        _remove(place)
        made = self.tmp / "set"
        for path, source in objects.items():
            _link(source, made / path)
        place.parent.mkdir(parents=True, exist_ok=True)
        made.rename(place)
        return None

    def _mend(self, place: Path, objects: Mapping[str, Path], say: Say) -> None:
        """File by file, so that who reads a sound file of the set meanwhile goes on doing so."""
        found = {path.relative_to(place).as_posix(): path for path in hashing.entries(place)}
        for path in sorted(found.keys() - objects.keys()):
            say(f"{found[path]} is not part of the set: removed")
            found[path].unlink()
        for path, source in objects.items():
            target = place / path
            if hashing.md5_of(target) == hashing.md5_of(source):
                continue
            say(f"{target} was altered or missing: replaced")
            if target.is_dir():
                _remove(target)
            _link(source, self.tmp / "file")
            target.parent.mkdir(parents=True, exist_ok=True)
            (self.tmp / "file").replace(target)

    def throw_away(self, md5: str) -> None:
        """A set that nobody has claimed, under all its names. Its objects stay until `sweep_out`."""
        gone = self.tmp / f"gone-{md5}"
        (self.sets / md5).rename(gone)
        _remove(gone)

    def sweep_out(self, keep: frozenset[str]) -> int:
        """Remove the objects of no set, but for those to `keep`; gives their bytes."""
        freed = 0
        for place in [path for path in self.objects.glob("??/*") if is_md5(path.parent.name + path.name)]:
            md5, found = place.parent.name + place.name, place.lstat()
            used = (self.sets / md5).is_dir() or (found.st_nlink > 1 and not md5.endswith(".dir"))
            if not used and md5 not in keep:
                place.unlink()
                freed += found.st_size
        return freed


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError as error:  # another disk, one without links, or too many of them
        if error.errno in FULL:
            raise
        shutil.copyfile(source, target)
        target.chmod(0o444)


def _remove(place: Path) -> None:
    """A file, a link or a folder; nothing there is fine."""
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)
