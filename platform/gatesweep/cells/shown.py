"""All that can be said of a cell to whoever reads, in one form for every cell: read off its step, or, of mLSTM, whose
state is a matrix, off the lines in `matrix_shown.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

from gatesweep.cells import matrix_shown
from gatesweep.cells.counts import Counts, counts
from gatesweep.cells.drawing import drawing
from gatesweep.cells.equations import Equations, equations, weight_gradients
from gatesweep.cells.example import example_text
from gatesweep.cells.names import MATRIX_CELLS, canonical, check_peepholes
from gatesweep.cells.papers import PAPERS
from gatesweep.cells.variants import find
from gatesweep.cells.writing import written

_SMALL = {"n": 0.4}
"""A normaliser so small that mLSTM's floor is what divides: above it h' of one unit does not depend on q."""


@dataclass(frozen=True)
class Shown:
    """A cell's facts: `forward` and `backward` are lines of text, `weights` the sums over steps and sequences."""

    name: str
    gates: tuple[str, ...]
    states: tuple[str, ...]
    peepholes: tuple[str, ...]
    paper: str
    counts: Counts
    drawing: list[str]
    forward: list[str]
    backward: list[str]
    weights: list[str]
    example: list[str]


def shown(name: str, peepholes: bool | None, input_size: int, hidden_size: int) -> Shown:
    """The facts of one cell, its counts for D = input_size, H = hidden_size; of mlstm for one head.

    Raises:
        ValueError: unknown name, or peepholes asked of a cell without a cell state.
    """
    check_peepholes(name, peepholes)
    name = canonical(name)
    if name in MATRIX_CELLS:
        unit, lines = matrix_shown.UNIT, matrix_shown.one_unit()
        return Shown(
            name, unit.gates, unit.states[1:], (), PAPERS[name], matrix_shown.counts(input_size, hidden_size),
            drawing(unit, lines.forward), _text(matrix_shown.FORWARD), _text(matrix_shown.BACKWARD),
            matrix_shown.weight_gradients(), example_text(unit, lines, _SMALL),
        )  # fmt: skip
    cell = find(name, peepholes)
    forward, backward = _lines(equations(cell))
    return Shown(
        cell.name, cell.gates, cell.states, cell.peepholes, PAPERS[cell.name], counts(cell, input_size, hidden_size),
        drawing(cell), forward, backward, weight_gradients(cell), example_text(cell),
    )  # fmt: skip


def _text(lines: tuple[tuple[str, str], ...]) -> list[str]:
    return [_added(name, value.removeprefix(f"{name} ")) if value.startswith(f"{name} ") else f"{name} = {value}"
            for name, value in lines]


def _added(name: str, more: str) -> str:
    """`δc' += …` for what a line adds to what was given, as `_lines` has it."""
    return f"{name} += {more[2:] if more.startswith('+ ') else '-' + more[2:]}"


def _lines(found: Equations) -> tuple[list[str], list[str]]:
    forward, backward = ([f"{line.name} {'+=' if line.added else '='} {written(line.value)}" for line in lines]
                         for lines in found)
    return forward, backward
