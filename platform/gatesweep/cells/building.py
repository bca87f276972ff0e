"""Compile the native loops of cells ahead of time: into an image, or before many workers ask at once.

The plain cells, that is: a layer norm or a projection asks for loops of its own, compiled when it is first used.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch

from gatesweep.cells.compiler import built
from gatesweep.cells.description import Cell
from gatesweep.cells.native.kernel import TYPES, Kind, describable, source
from gatesweep.errors import ResourceError


@dataclass(frozen=True)
class Built:
    """One cell's loops for one number type."""

    cell: str
    dtype: str
    level: str | None
    """What instruction sets it is for, see `levels.py`. None: this machine's."""

    path: Path
    seconds: float
    """What compiling took; next to nothing where the library was there already."""


def build(cells: Iterable[Cell], levels: Sequence[str] = ()) -> Iterator[Built]:
    """Compile every cell that has native loops, for every type of number, several at a time.

    Args:
        levels: of `levels.py`, for machines that are not this one. None of them: for this machine.

    Raises:
        NoCompiler: one is in no folder yet and cannot be compiled here.
        ResourceError: GATESWEEP_KERNELS names what is no folder.
    """
    wanted = [cell for cell in cells if describable(cell)]
    jobs = [(cell, dtype, level) for cell in wanted for dtype in TYPES for level in (levels or (None,))]

    def one(job: tuple[Cell, torch.dtype, str | None]) -> Built:
        (cell, dtype, level), start = job, time.perf_counter()
        path = _where_named(built(source(Kind(cell, dtype)), cell.name, level))
        return Built(cell.name, str(dtype).removeprefix("torch."), level, path, time.perf_counter() - start)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(one, jobs)


def _where_named(library: Path) -> Path:
    """The library in the folder that GATESWEEP_KERNELS names, copied there if another folder had it already."""
    named = os.environ.get("GATESWEEP_KERNELS")
    if not named or library.parent == Path(named):
        return library
    try:
        Path(named).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResourceError(f"'{named}' is no folder that can be written to: {error.strerror}",
                            place="GATESWEEP_KERNELS", hint="name a folder, or unset it") from error
    with tempfile.TemporaryDirectory(dir=named, prefix=".copying-") as folder:
        half = shutil.copy(library, folder)
        return Path(half).rename(Path(named, library.name))
