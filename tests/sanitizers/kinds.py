"""What there is to run: every kind of native loop that a configuration can ask for, and the shapes to run it at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import torch

from gatesweep.cells.description import Cell
from gatesweep.cells.loop import check_sizes
from gatesweep.cells.native.kernel import TYPES, Kind, describable
from gatesweep.cells.options import VARIATIONAL, cell_norm, recurrent_dropout, zoneout
from gatesweep.cells.places import CANDIDATE
from gatesweep.cells.variants import CELLS


@dataclass(frozen=True)
class Case:
    """A kind of loop, and what of `weights.shapes` makes weights for it."""

    kind: Kind

    @property
    def label(self) -> str:
        norm, projection = " layer_norm" * self.kind.normed, " projection" * self.kind.projected
        return f"{self.kind.cell.name}{norm}{projection} {str(self.kind.dtype).removeprefix('torch.')}"

    def options(self, H: int) -> dict[str, Any]:
        norm = {"norm": True} if self.kind.normed else {}
        return norm | ({"projection": H // 2} if self.kind.projected else {})


def cases(names: Sequence[str] = (), *, plain: bool = False, single: bool = True) -> list[Case]:
    """The cells of these names, or all.

    Args:
        plain: as they are alone; else also with all options together that their equations have.
        single: and with each of them alone.
    """
    found: list[Case] = []
    for cell in (CELLS[name] for name in names or CELLS):
        found += _of(cell)
        if single and not plain:
            found += [case for option in (_zoned, _masked, _dropped, cell_norm) for case in _of(_changed(cell, option))]
            found += [*_of(cell, normed=True), *_of(cell, projected=True)]
        if not plain:
            found += _together(reduce(_changed, (_zoned_c, _dropped, cell_norm), cell))
    return list(dict.fromkeys(found))


def _together(cell: Cell) -> list[Case]:
    """Normalised and projected, as far as the cell can be."""
    ways = [_of(cell, normed, projected) for normed, projected in ((True, True), (True, False), (False, False))]
    return next(way for way in ways if way)


def _changed(cell: Cell, change: Callable[[Cell], Cell]) -> Cell:
    """The cell with an option; as it is where it has no place for it."""
    try:
        return change(cell)
    except ValueError:
        return cell


def _of(cell: Cell, normed: bool = False, projected: bool = False) -> list[Case]:
    """In both types of numbers; nothing where the cell cannot be so."""
    try:
        check_sizes(cell, 4, 2 if projected else None, normed, 1)
    except ValueError:
        return []
    return [Case(Kind(cell, dtype, normed, projected)) for dtype in TYPES] if describable(cell) else []


def _zoned(cell: Cell) -> Cell:
    return zoneout(cell, ("h", "c") if "c" in cell.states and "m" not in cell.states else ("h",))


def _zoned_c(cell: Cell) -> Cell:
    """Not h: a step that reads h cannot be projected."""
    return zoneout(cell, ("c",)) if "m" not in cell.states else cell


def _dropped(cell: Cell) -> Cell:
    return recurrent_dropout(cell, CANDIDATE)


def _masked(cell: Cell) -> Cell:
    return recurrent_dropout(cell, VARIATIONAL)


@dataclass(frozen=True)
class Shape:
    """T steps, B sequences, D inputs, H units; `ragged`: of unequal length."""

    T: int
    B: int
    D: int
    H: int
    ragged: bool = False

    @property
    def lengths_B(self) -> torch.Tensor | None:
        """From 1 to T, unsorted."""
        return torch.arange(self.B) * 7 % self.T + 1 if self.ragged else None


SHAPES = (Shape(1, 1, 1, 2), Shape(3, 5, 2, 7), Shape(2, 8, 3, 16), Shape(4, 13, 1, 9, True), Shape(3, 7, 4, 33, True),
          Shape(2, 15, 2, 18), Shape(2, 2, 5, 24, True))
"""Fewer units than a vector, whole vectors, one more; batches of one tile of rows, of several, for two threads."""

FEW_SHAPES = (SHAPES[1], SHAPES[3], SHAPES[4])
"""For what runs fifty times slower."""
