"""Cells whose next state is linear in their state, over all time steps at once: minGRU, minLSTM and any like them.

Where no gate reads h, all gates of all steps are known before the first step, and the step is

    h' = a ⊙ h + b            a = ∂h'/∂h, free of h            b = h' at h = 0

Both follow from the cell's description: `coefficients` traces its step and differentiates it, so that its equations
stand in one place. `scan.linear_scan` does the rest.

Shape suffixes: T time steps, B batch, D inputs, H hidden units, K pre-activations times H, M masks.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional

from gatesweep.cells.description import MASK, Cell
from gatesweep.cells.expression import Node, derivatives, sorted_nodes, trace
from gatesweep.cells.names import cannot
from gatesweep.cells.reference import State
from gatesweep.cells.scan import linear_scan
from gatesweep.cells.sequences import alive
from gatesweep.cells.weights import Weights, uniform

SEGMENT = 1 << 17
"""Values of h that a CPU works on at once: what is made on the way to them then stays in its caches."""


def unroll(
    cell: Cell, x_TBD: Tensor, state: State, weights: Weights, lengths_B: Tensor | None = None,
    masks: Tensor | None = None,
) -> tuple[Tensor, State]:  # fmt: skip
    """As `reference.unroll`, differentiable as often as you like.

    Raises:
        ValueError: the cell is not linear in its state, or its weights ask for a projection or layer norm.
    """
    if not is_linear(cell):
        raise ValueError(cannot(cell.name, "parallel", bool(cell.peepholes)))
    if weights.projection_PH is not None or weights.input_gain_K is not None:
        raise ValueError(f"cell '{cell.name}': the parallel form has no projection and no layer norm")
    expressions = coefficients(cell)
    T, (h_BH,), output = len(x_TBD), state, []
    w_KD, _, b_K = uniform(cell, weights)
    alive_TB1 = None if lengths_B is None else alive(lengths_B, T).unsqueeze(2)
    steps = max(1, SEGMENT // h_BH.numel()) if x_TBD.device.type == "cpu" else T
    # split, not slices: the derivative of a slice is as long as the whole
    for x, m, alive_now in zip(*(_split(part, steps, T) for part in (x_TBD, masks, alive_TB1)), strict=True):
        a_TBH, b_TBH = _evaluated(cell, expressions, functional.linear(x, w_KD, b_K), m)
        if alive_now is not None:  # padding leaves h as it is
            a_TBH, b_TBH = torch.where(alive_now, a_TBH, 1.0), torch.where(alive_now, b_TBH, 0.0)
        h_TBH = linear_scan(a_TBH, b_TBH, h_BH)
        h_BH = h_TBH[-1]
        output.append(h_TBH)
    h_TBH = torch.cat(output)
    return h_TBH if alive_TB1 is None else torch.where(alive_TB1, h_TBH, 0.0), (h_BH,)


def _split(part: Tensor | None, steps: int, T: int) -> Sequence[Tensor | None]:
    return [None] * -(-T // steps) if part is None else torch.split(part, steps)


def _evaluated(
    cell: Cell, expressions: tuple[Node, Node], g_TBK: Tensor, masks: Tensor | None
) -> tuple[Tensor, Tensor]:
    """a and b of some time steps, from their pre-activations and masks [T, M, B, H]."""
    gates = g_TBK.chunk(len(cell.gates), dim=-1)
    leaves = {f"g.{gate}": g_TBH for gate, g_TBH in zip(cell.gates, gates, strict=True)}
    if masks is not None:
        leaves |= {f"m.{name}": m_TBH for name, m_TBH in zip(cell.masks, masks.unbind(1), strict=True)}
    a, b = evaluate(expressions, leaves)
    return torch.as_tensor(a).to(g_TBK).expand_as(gates[0]), torch.as_tensor(b).to(g_TBK).expand_as(gates[0])


@lru_cache
def coefficients(cell: Cell) -> tuple[Node, Node]:
    """a and b as expressions in the pre-activations and masks.

    Raises:
        ValueError: the cell is not linear in its state, or more than its state and gates decide the next.
    """
    refused = ValueError(f"cell '{cell.name}' is not linear in its state: it has no parallel form")
    if cell.recurrent or cell.inner or cell.units or len(cell.states) != 1:
        raise refused
    step, (name,) = trace(cell), cell.states
    (a,) = derivatives(step.new[name], [step.states[name]])
    if step.states[name] in sorted_nodes(a):
        raise refused
    masks = {MASK + mask: leaf for mask, leaf in step.masks.items()}
    return a, cast(Node, cell.step(step.gates, {name: step.graph.number(0)}, masks)[name])


def is_linear(cell: Cell) -> bool:
    """Whether the cell has a parallel form."""
    try:
        coefficients(cell)
    except ValueError:
        return False
    return True


def evaluate(nodes: tuple[Node, ...], leaves: Mapping[str, Tensor]) -> list[Any]:
    """The nodes' values in plain torch operations: tensors, or floats where no leaf is in them."""
    values: dict[int, Any] = {}
    for node in sorted_nodes(*nodes):
        if node.op == "leaf":
            values[id(node)] = leaves[str(node.value)]
        elif node.op == "number":
            values[id(node)] = node.value
        else:
            values[id(node)] = _OPERATIONS[node.op](*(values[id(arg)] for arg in node.args))
    return [values[id(node)] for node in nodes]


_OPERATIONS: dict[str, Callable[..., Any]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
    "max": torch.maximum,
    "ge": operator.ge,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "exp": torch.exp,
    "log": torch.log,
}
