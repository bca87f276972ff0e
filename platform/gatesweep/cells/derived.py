"""What follows from a cell's step alone: one program that runs it, one that gives its derivatives.

While a step runs, a gate's activation takes the place of its pre-activation, where no derivative asks for the latter
again. So no gate is computed twice:

    forward    (g, s, p, m)                   ->  s',  and the activations over g
    jacobian   (activations, s, p, m, s')     ->  ∂s'/∂(g, read s, p), one number per unit for each pair

Letters: g pre-activations, s states before the step, s' states after it, p peepholes and vectors, m masks.
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache

from gatesweep.cells.description import Cell
from gatesweep.cells.expression import Node, Trace, by_unit, derivatives, reads, sorted_nodes, trace
from gatesweep.cells.program import Program


class Derived:
    """The programs of one cell.

    Attributes:
        reads: states that the step itself uses, beside what reaches it through the recurrent weights.
        kept: places of the pre-activations that an activation takes over, in the order of `forward`'s last outputs.
        forward: from pre-activations, states, peepholes and vectors, masks to new states, kept activations.
        jacobian: from pre-activations (overwritten as above), states, peepholes and vectors, masks, new states to, for
            each new state, its derivatives by pre-activations, read states, peepholes and vectors.

    Raises:
        ValueError: the step does not give the cell's states, or it does not work unit by unit.
    """

    def __init__(self, cell: Cell) -> None:
        if not by_unit(cell):
            raise ValueError(f"cell '{cell.name}': its step does not work unit by unit; the reference loop runs it")
        step = trace(cell)
        gates, states, units, masks = (
            list(leaves.values()) for leaves in (step.gates, step.states, step.peepholes, step.masks)
        )
        new, kept = list(step.new.values()), kept_places(step)
        self.reads = reads(cell)
        self.kept = tuple(kept)
        self.forward = Program([*gates, *states, *units, *masks], [*new, *kept.values()])
        leaves = [*gates, *(step.states[name] for name in self.reads), *units]
        seen = [kept.get(k, gate) for k, gate in enumerate(gates)]
        self.jacobian = Program(
            [*seen, *states, *units, *masks, *new], [d for state in new for d in derivatives(state, leaves)]
        )


@lru_cache
def derive(cell: Cell) -> Derived:
    """The cell's programs, made once; errors as `Derived`."""
    return Derived(cell)


def kept_places(step: Trace) -> dict[int, Node]:
    """Activations by the place of the pre-activation that they take over.

    A pre-activation may go if it reaches the activation through sums alone and is used nowhere else: the derivative of
    a sum does not ask for its terms.
    """
    nodes = sorted_nodes(*step.new.values(), *step.inner.values())
    uses = Counter(id(arg) for node in nodes for arg in node.args)
    place = {id(gate): k for k, gate in enumerate(step.gates.values())}
    new = {id(node) for node in step.new.values()}
    kept: dict[int, Node] = {}
    for node in nodes:
        if node.op in ("sigmoid", "tanh", "exp") and id(node) not in new:
            ends = [place[id(end)] for end in _summands(node.args[0], uses) if id(end) in place]
            free = [k for k in ends if k not in kept]
            if free:
                kept[free[0]] = node
    return kept


def _summands(node: Node, uses: Counter[int]) -> list[Node]:
    """The terms of a sum, as far as each is used in it alone."""
    if uses[id(node)] != 1:
        return []
    if node.op not in ("add", "sub"):
        return [node]
    return [end for arg in node.args for end in _summands(arg, uses)]
