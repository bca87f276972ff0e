"""A cell's step as a graph of expressions: traced from its description, differentiated by the chain rule.

The step of a `Cell` runs on `Node`s as it does on tensors. Equal expressions are one node, so that what is written
twice is computed once. Derivatives are nodes of the same graph:

    (a + b)' = a' + b'      (a b)' = a' b + a b'      σ(a)' = (σ - σ²) a'      tanh(a)' = (1 - tanh²) a'
    (a - b)' = a' - b'      (a / b)' = (a' - (a / b) b') / b                   exp(a)' = exp(a) a'
    max(a, b)' = ge(a, b) a' + (1 - ge(a, b)) b'          ge(a, b)' = 0        log(a)' = a' / a

ge(a, b) is 1 where a >= b, else 0. `norm` works across the units of a row and has no derivative here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import lru_cache

from gatesweep.cells.description import MASK, Cell


class Graph:
    """Nodes by what they are: the same operation on the same nodes is the same node."""

    def __init__(self) -> None:
        self._nodes: dict[tuple[object, ...], Node] = {}

    def node(self, op: str, *args: Node, value: str | float | None = None) -> Node:
        key = (op, value, *(id(arg) for arg in args))
        return self._nodes.setdefault(key, Node(self, op, args, value))

    def number(self, value: float) -> Node:
        return self.node("number", value=float(value))


class Node:
    """A leaf (`leaf`, `number`) or an operation on other nodes.

    Operations: `add`, `sub`, `mul`, `div`, `max`, `ge` of two; `sigmoid`, `tanh`, `exp`, `log`, `norm` of one.
    """

    __slots__ = ("args", "graph", "op", "value")

    def __init__(self, graph: Graph, op: str, args: tuple[Node, ...], value: str | float | None) -> None:
        self.graph, self.op, self.args, self.value = graph, op, args, value

    def __repr__(self) -> str:
        return str(self.value) if not self.args else f"{self.op}({', '.join(map(repr, self.args))})"

    def is_number(self, value: float) -> bool:
        return self.op == "number" and self.value == value

    def _node(self, other: Node | float) -> Node:
        return other if isinstance(other, Node) else self.graph.number(other)

    def _folded(self, op: str, other: Node, compute: Callable[[float, float], float]) -> Node:
        """The operation, or its value where both sides are numbers."""
        if isinstance(self.value, float) and isinstance(other.value, float):
            return self.graph.number(compute(self.value, other.value))
        return self.graph.node(op, self, other)

    def __add__(self, other: Node | float) -> Node:
        other = self._node(other)
        if self.is_number(0) or other.is_number(0):
            return other if self.is_number(0) else self
        return self._folded("add", other, lambda a, b: a + b)

    def __sub__(self, other: Node | float) -> Node:
        other = self._node(other)
        return self if other.is_number(0) else self._folded("sub", other, lambda a, b: a - b)

    def __mul__(self, other: Node | float) -> Node:
        other = self._node(other)
        if self.is_number(0) or other.is_number(0):
            return self.graph.number(0)
        if self.is_number(1) or other.is_number(1):
            return other if self.is_number(1) else self
        return self._folded("mul", other, lambda a, b: a * b)

    def __truediv__(self, other: Node | float) -> Node:
        other = self._node(other)
        if self.is_number(0) or other.is_number(1):
            return self
        return self._folded("div", other, lambda a, b: a / b)

    def __radd__(self, other: float) -> Node:
        return self + other

    def __rmul__(self, other: float) -> Node:
        return self * other

    def __rsub__(self, other: float) -> Node:
        return self.graph.number(other) - self

    def __rtruediv__(self, other: float) -> Node:
        return self.graph.number(other) / self

    def maximum(self, other: Node | float) -> Node:
        return self._folded("max", self._node(other), max)

    def clamp_min(self, bound: float) -> Node:
        return self.maximum(bound)

    def ge(self, other: Node | float) -> Node:
        return self._folded("ge", self._node(other), lambda a, b: float(a >= b))

    def sigmoid(self) -> Node:
        return self.graph.node("sigmoid", self)

    def tanh(self) -> Node:
        return self.graph.node("tanh", self)

    def exp(self) -> Node:
        value = self.value
        return self.graph.number(math.exp(value)) if isinstance(value, float) else self.graph.node("exp", self)

    def log(self) -> Node:
        value = self.value
        return self.graph.number(math.log(value)) if isinstance(value, float) else self.graph.node("log", self)

    def normalised(self) -> Node:
        return self.graph.node("norm", self)


@dataclass(frozen=True)
class Trace:
    """A cell's step as nodes: what goes in, by name, and the states that come out.

    The leaves' values are `g.<pre-activation>`, `s.<state>`, `p.<peephole or vector>` and `m.<mask>`.
    """

    graph: Graph
    gates: dict[str, Node]
    states: dict[str, Node]
    peepholes: dict[str, Node]
    """Every parameter of one number per unit: the cell's `units`."""

    new: dict[str, Node]
    masks: dict[str, Node] = field(default_factory=dict)
    inner: dict[str, Node] = field(default_factory=dict)
    """By gate, what its recurrent weights read in place of the sources; empty where `Cell.inner` is None."""


def trace(cell: Cell) -> Trace:
    """Run the cell's step on leaves.

    Raises:
        ValueError: the step does not give exactly the cell's states, or its inner product is of no gate of the cell.
    """
    graph = Graph()
    gates, states, units, masks = (
        {name: graph.node("leaf", value=f"{kind}.{name}") for name in names}
        for kind, names in (("g", cell.preactivations), ("s", cell.states), ("p", cell.units), ("m", cell.masks))
    )
    given = units | {MASK + name: leaf for name, leaf in masks.items()}
    new, inner = cell.step(gates, states, given), cell.inner(gates, states, given) if cell.inner else {}
    if set(new) != set(cell.states):
        raise ValueError(f"cell '{cell.name}': its step gives {sorted(new)}, its states are {sorted(cell.states)}")
    if not set(inner) <= set(cell.gates):
        raise ValueError(f"cell '{cell.name}': its inner gives {sorted(inner)}, its gates are {sorted(cell.gates)}")
    return Trace(graph, gates, states, units, {name: _checked(cell, new[name]) for name in cell.states}, masks,
                 {gate: _checked(cell, value) for gate, value in inner.items()})


def _checked(cell: Cell, value: object) -> Node:
    if not isinstance(value, Node):
        raise ValueError(f"cell '{cell.name}': its step gives a {type(value).__name__} where an expression is expected")
    return value


@lru_cache
def operations(cell: Cell) -> frozenset[str]:
    """Which operations the cell's step is made of; `leaf` and `number` are among them."""
    return frozenset(node.op for node in sorted_nodes(*trace(cell).new.values()))


@lru_cache
def reads(cell: Cell) -> tuple[str, ...]:
    """States that the step itself uses, beside what reaches it through the recurrent weights."""
    step = trace(cell)
    needed = {id(node) for node in sorted_nodes(*step.new.values())}
    return tuple(name for name, leaf in step.states.items() if id(leaf) in needed)


def by_unit(cell: Cell) -> bool:
    """Whether the step, given its pre-activations, works unit by unit: no norm, no recurrent product within it."""
    return cell.inner is None and "norm" not in operations(cell)


def sorted_nodes(*outputs: Node, given: Collection[Node] = ()) -> list[Node]:
    """Every node that the outputs need, arguments before what uses them; `given` nodes need no arguments."""
    order: dict[int, Node] = {}
    stop = {id(node) for node in given}

    def visit(node: Node) -> None:
        if id(node) not in order:
            for arg in () if id(node) in stop else node.args:
                visit(arg)
            order[id(node)] = node

    for output in outputs:
        visit(output)
    return list(order.values())


def derivatives(output: Node, leaves: list[Node]) -> list[Node]:
    """∂output/∂leaf for each leaf; the number 0 where it does not depend on it.

    Raises:
        ValueError: as `vjp`.
    """
    return vjp([output], [output.graph.number(1)], leaves)


def vjp(outputs: list[Node], seeds: list[Node], leaves: list[Node]) -> list[Node]:
    """Σ_k seed_k ∂output_k/∂leaf for each leaf, by one sweep backwards through the graph.

    Args:
        outputs: at least one.
        seeds: the adjoint of each output, nodes of the same graph.

    Raises:
        ValueError: an operation on the way has no derivative unit by unit.
    """
    zero = outputs[0].graph.number(0)
    adjoint: dict[int, Node] = {}
    for output, seed in zip(outputs, seeds, strict=True):
        adjoint[id(output)] = adjoint.get(id(output), zero) + seed
    for node in reversed(sorted_nodes(*outputs)):
        d = adjoint.get(id(node), zero)
        for arg, term in zip(node.args, _chain(node, d), strict=True):
            adjoint[id(arg)] = adjoint.get(id(arg), zero) + term
    return [adjoint.get(id(leaf), zero) for leaf in leaves]


def _chain(node: Node, d: Node) -> tuple[Node, ...]:
    """What each argument of a node gains when the node's adjoint is `d`."""
    if not node.args:
        return ()
    a, b = node.args[0], node.args[-1]
    if node.op == "add":
        return d, d
    if node.op == "sub":
        return d, 0 - d
    if node.op == "mul":
        return d * b, d * a
    if node.op == "div":
        return d / b, 0 - d / b * node
    if node.op == "max":
        return d * a.ge(b), d - d * a.ge(b)
    if node.op == "ge":
        return (node.graph.number(0),) * 2
    if node.op == "sigmoid":
        return (d * (node - node * node),)
    if node.op == "tanh":
        return (d * (1 - node * node),)
    if node.op == "exp":
        return (d * node,)
    if node.op == "log":
        return (d / a,)
    raise ValueError(f"'{node.op}' has no derivative unit by unit")
