"""What a cell costs: its parameters, and the arithmetic of one time step of one sequence.

    forward     2 for each number in a matrix (multiply, add; the bias starts the sum), and 1 for each operation of the
                step on each unit, whatever it is: σ and + count alike
    backward    twice the matrix products of the forward step (to the inputs and states, to the matrix), and the
                operations of the derived step, and one addition for each bias

D inputs, H hidden units.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from typing import NamedTuple

from gatesweep.cells.description import Cell
from gatesweep.cells.equations import Line, equations
from gatesweep.cells.expression import sorted_nodes
from gatesweep.cells.weights import shapes

MATRICES = ("weight_ih", "weight_hh", "feedback")


class Counts(NamedTuple):
    """`parameters` as the layer keeps them, with torch's two biases a gate; operations for one step of one sequence."""

    parameters: int
    forward_flops: int
    backward_flops: int


def counts(cell: Cell, input_size: int, hidden_size: int) -> Counts:
    """The cell's counts for D = input_size, H = hidden_size."""
    sizes = {name: prod(shape) for name, shape in shapes(cell, input_size, hidden_size).items()}
    products = 2 * sum(sizes.get(name, 0) for name in MATRICES)
    forward, backward = (hidden_size * _operations(lines) for lines in equations(cell))
    return Counts(sum(sizes.values()), products + forward, 2 * products + backward + sizes["bias_ih"])


def _operations(lines: Iterable[Line]) -> int:
    """Operations on each unit; sums of matrix products are the products' own."""
    free = [line.value for line in lines if not any(node.op == "matrix" for node in sorted_nodes(line.value))]
    return sum(node.op not in ("leaf", "number") for node in sorted_nodes(*free))
