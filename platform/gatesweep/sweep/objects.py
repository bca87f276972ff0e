"""Data through Ray's object store, where no remote holds them: the driver puts them in once, nodes take them by md5.

    md5 -> reference to a list of references to chunks of at most 64 MB

so that neither the driver nor a worker holds more than one chunk of a large file in its memory. The objects live as
long as their references: the driver's dictionary, and what workers hold of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import ray

from gatesweep.data.fetch import Dataset
from gatesweep.data.listing import canonical
from gatesweep.data.pins import digest_of, md5_of
from gatesweep.errors import DataError, OriginError

CHUNK_BYTES = 64_000_000
WAIT_S = 60.0
"""A chunk that has not come after so long does not come: its node is gone."""

Objects: TypeAlias = "dict[str, ray.ObjectRef[Any]]"


def offer(datasets: Iterable[Dataset]) -> Objects:
    """Put the verified sets, and users' own files and folders, into the object store; what they have in common once.

    Raises:
        DataError: a set is not what it was when it was verified.
    """
    objects: Objects = {}
    for dataset in datasets:
        if dataset.path.is_file():
            objects.setdefault(dataset.md5, _put_file(dataset.path))
            continue
        md5s = {name: md5_of(dataset.path / name) for name in dataset.files}
        listing = canonical(md5s)
        if digest_of(md5s) != dataset.md5:
            raise DataError(f"was altered since it was verified: its digest was {dataset.md5}, is {digest_of(md5s)}",
                            place=str(dataset.path), hint="start again, and leave the data alone while it runs")
        for name, md5 in md5s.items():
            if md5 not in objects:
                objects[md5] = _put_file(dataset.path / name)
        objects[dataset.md5] = ray.put([ray.put(listing)])
    return objects


def withdraw(objects: Objects) -> None:
    """Give the room back, as soon as no worker holds a reference either."""
    objects.clear()


def _put_file(path: Path) -> ray.ObjectRef[Any]:
    with path.open("rb") as file:
        return ray.put([ray.put(chunk) for chunk in iter(lambda: file.read(CHUNK_BYTES), b"")])


class ObjectOrigin:
    """See `gatesweep.data.origin.Origin`."""

    address = "Ray's object store"

    def __init__(self, objects: Mapping[str, ray.ObjectRef[Any]], *, wait_s: float = WAIT_S) -> None:
        self._objects, self._wait_s = dict(objects), wait_s

    def fetch(self, md5: str, target: Path) -> None:
        """See `Origin`."""
        if md5 not in self._objects:
            raise DataError(f"does not hold {md5}", place=self.address, hint="the driver offers what it has verified")
        with target.open("wb") as file:
            for chunk in self._chunks(md5):
                file.write(chunk)

    def _chunks(self, md5: str) -> Iterator[bytes]:
        for reference in self._get(self._objects[md5], md5):
            yield self._get(reference, md5)

    def _get(self, reference: ray.ObjectRef[Any], md5: str) -> Any:
        try:
            return ray.get(reference, timeout=self._wait_s)
        except ray.exceptions.RayError as error:
            said = next(iter(str(error).strip().splitlines()), type(error).__name__)
            raise OriginError(f"did not deliver {md5}: {said}", place=self.address,
                              hint="does the driver still run, and does its node answer?") from error
