"""A cell's step as a graph of expressions: traced from its description, differentiated by the chain rule.

The step of a `Cell` runs on `Node`s as it does on tensors. Equal expressions are one node, so that what is written
twice is computed once. Derivatives are nodes of the same graph:

    (a + b)' = a' + b'      (a b)' = a' b + a b'      σ(a)' = (σ - σ²) a'      tanh(a)' = (1 - tanh²) a'
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from gatesweep.cells.description import Cell


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
    """A leaf (`leaf`, `number`) or an operation (`add`, `sub`, `mul`, `sigmoid`, `tanh`) on other nodes."""

    __slots__ = ("args", "graph", "op", "value")

    def __init__(self, graph: Graph, op: str, args: tuple[Node, ...], value: str | float | None) -> None:
        self.graph, self.op, self.args, self.value = graph, op, args, value

    def __repr__(self) -> str:
        return str(self.value) if not self.args else f"{self.op}({', '.join(map(repr, self.args))})"

    def is_number(self, value: float) -> bool:
        return self.op == "number" and self.value == value

    def _node(self, other: Node | float) -> Node:
        return other if isinstance(other, Node) else self.graph.number(other)

    def __add__(self, other: Node | float) -> Node:
        other = self._node(other)
        if isinstance(self.value, float) and isinstance(other.value, float):
            return self.graph.number(self.value + other.value)
        if self.is_number(0) or other.is_number(0):
            return other if self.is_number(0) else self
        return self.graph.node("add", self, other)

    def __sub__(self, other: Node | float) -> Node:
        other = self._node(other)
        if isinstance(self.value, float) and isinstance(other.value, float):
            return self.graph.number(self.value - other.value)
        return self if other.is_number(0) else self.graph.node("sub", self, other)

    def __mul__(self, other: Node | float) -> Node:
        other = self._node(other)
        if isinstance(self.value, float) and isinstance(other.value, float):
            return self.graph.number(self.value * other.value)
        if self.is_number(0) or other.is_number(0):
            return self.graph.number(0)
        if self.is_number(1) or other.is_number(1):
            return other if self.is_number(1) else self
        return self.graph.node("mul", self, other)

    def __radd__(self, other: float) -> Node:
        return self + other

    def __rmul__(self, other: float) -> Node:
        return self * other

    def __rsub__(self, other: float) -> Node:
        return self.graph.number(other) - self

    def sigmoid(self) -> Node:
        return self.graph.node("sigmoid", self)

    def tanh(self) -> Node:
        return self.graph.node("tanh", self)


@dataclass(frozen=True)
class Trace:
    """A cell's step as nodes: what goes in, by name, and the states that come out."""

    graph: Graph
    gates: dict[str, Node]
    states: dict[str, Node]
    peepholes: dict[str, Node]
    new: dict[str, Node]


def trace(cell: Cell) -> Trace:
    """Run the cell's step on leaves.

    Raises:
        ValueError: the step does not give exactly the cell's states.
    """
    graph = Graph()
    gates = {name: graph.node("leaf", value=f"g.{name}") for name in cell.preactivations}
    states = {name: graph.node("leaf", value=f"s.{name}") for name in cell.states}
    peepholes = {name: graph.node("leaf", value=f"p.{name}") for name in cell.peepholes}
    new = cell.step(gates, states, peepholes)
    if set(new) != set(cell.states):
        raise ValueError(f"cell '{cell.name}': its step gives {sorted(new)}, its states are {sorted(cell.states)}")
    return Trace(graph, gates, states, peepholes, {name: _checked(cell, new[name]) for name in cell.states})


def _checked(cell: Cell, value: object) -> Node:
    if not isinstance(value, Node):
        raise ValueError(f"cell '{cell.name}': its step gives a {type(value).__name__} where an expression is expected")
    return value


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
    """∂output/∂leaf for each leaf; the number 0 where it does not depend on it."""
    zero, one = output.graph.number(0), output.graph.number(1)
    adjoint: dict[int, Node] = {id(output): one}
    for node in reversed(sorted_nodes(output)):
        d = adjoint.get(id(node), zero)
        for arg, term in zip(node.args, _chain(node, d), strict=True):
            adjoint[id(arg)] = adjoint.get(id(arg), zero) + term
    return [adjoint.get(id(leaf), zero) for leaf in leaves]


def _chain(node: Node, d: Node) -> tuple[Node, ...]:
    """What each argument of a node gains when the node's adjoint is `d`."""
    if node.op == "add":
        return d, d
    if node.op == "sub":
        return d, 0 - d
    if node.op == "mul":
        return d * node.args[1], d * node.args[0]
    if node.op == "sigmoid":
        return (d * (node - node * node),)
    if node.op == "tanh":
        return (d * (1 - node * node),)
    return ()
