"""A cell's equations, read off its own step: forwards as the step computes them, backwards by the chain rule.

Both are lists of lines `name = expression` whose leaves are names again, in the order in which they can be computed.
Nothing is written down here for any one cell: what a step does is what its lines say.

    a_k    pre-activation of gate k            k    its activation         l_k   log σ(a_k), where a step asks for it
    u_k    recurrent half of a gate whose halves stay apart                q_k   what R_k reads in place of the state
    s, s'  a state before and after the step   p_k  a peephole             δv    the adjoint of v, ∂L/∂v
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

from gatesweep.cells.description import RECURRENT, Cell, log_sigmoid
from gatesweep.cells.expression import Graph, Node, Trace, derivatives, sorted_nodes, trace

ACTIVATIONS = ("sigmoid", "tanh", "exp")
BACKWARDS = ("o", "c'", "f", "i", "z")
"""In this order where the equations leave a choice: output gate, cell state, forget gate, input gate, candidate."""


class Line(NamedTuple):
    """`name = value`, or `name += value` where the name has a value already: what later steps or the output gave it."""

    name: str
    value: Node
    added: bool = False

    @property
    def reads(self) -> tuple[str, ...]:
        return leaves(self.value)


class Equations(NamedTuple):
    forward: tuple[Line, ...]
    backward: tuple[Line, ...]


@lru_cache
def equations(cell: Cell) -> Equations:
    """The cell's lines.

    Raises:
        ValueError: the step does not give the cell's states, or works across units: then it has no such derivative.
    """
    forward = _forward(cell)
    return Equations(forward, backward(cell, forward))


def weight_gradients(cell: Cell) -> list[str]:
    """The adjoints of matrices and biases, as text: Σ over steps and sequences."""
    text = []
    for line in equations(cell).forward:
        products = [node for node in sorted_nodes(line.value) if node.op == "matrix"]
        if products:
            matrices = [f"δ{p.value} = Σ δ{line.name} {p.args[0].value}ᵀ" for p in products]
            text.append("    ".join([*matrices, *(f"δ{n} = Σ δ{line.name}" for n in line.reads if n.startswith("b"))]))
    return text


def leaves(node: Node) -> tuple[str, ...]:
    """The names in an expression, each once."""
    return tuple(str(leaf.value) for leaf in sorted_nodes(node) if leaf.op == "leaf")


def _forward(cell: Cell) -> tuple[Line, ...]:
    step, graph = trace(cell), Graph()
    names, inner = _names(cell, step, step.inner), step.inner
    inputs = {id(leaf) for leaf in (*step.gates.values(), *step.states.values())}
    nodes = sorted_nodes(*step.new.values(), *inner.values())
    lines = [Line(names[id(node)], _local(node, names, graph))
             for node in nodes if id(node) in names and node.op != "leaf" and id(node) not in inputs]
    lines += [Line(f"{gate}'", graph.node("leaf", value=names[id(node)]))  # a state that is another's value
              for gate, node in step.new.items() if names[id(node)] != f"{gate}'"]
    gates = tuple(names[id(node)] for node in step.gates.values())
    rest = tuple(line.name for line in lines if not line.name.endswith("'"))
    order = (*gates, *(n for n in rest if n[:2] in ("l_", "q_")), *cell.gates, *rest,
             *(f"{name}'" for name in (*cell.states[1:], cell.states[0])))
    return _sorted([*_preactivations(cell, graph, inner), *lines], order)


def _names(cell: Cell, step: Trace, inner: dict[str, Node]) -> dict[int, str]:
    """What the nodes that deserve a name are called: leaves, new states, log σ, activations, in this precedence."""
    names = {id(leaf): f"{name}'" for name, leaf in reversed(step.new.items())}
    names |= {id(leaf): name for name, leaf in step.states.items()}
    names |= {id(leaf): f"p_{name}" if name in cell.peepholes else name for name, leaf in step.peepholes.items()}
    names |= {id(leaf): f"m_{name}" for name, leaf in step.masks.items()}
    for name, leaf in step.gates.items():
        names[id(leaf)] = f"u_{name.removesuffix(RECURRENT)}" if name.endswith(RECURRENT) else f"a_{name}"
    names |= {id(node): f"q_{gate}" for gate, node in inner.items() if id(node) not in names}
    nodes = sorted_nodes(*step.new.values(), *inner.values())
    gate_of = {id(leaf): name for name, leaf in step.gates.items() if not name.endswith(RECURRENT)}
    present = {id(node) for node in nodes}
    for gate, leaf in list(step.gates.items()):
        if id(found := log_sigmoid(leaf)) in present:  # equal expressions are one node
            names[id(found)], gate_of[id(found)] = f"l_{gate}", gate
    taken: set[str] = set()
    given = [node for node in nodes if names.get(id(node), "").startswith("l_")]
    for node in sorted_nodes(*step.new.values(), *inner.values(), given=given):
        if node.op in ACTIVATIONS and id(node) not in names:
            free = [gate for gate in _gates_below(node, names, gate_of) if gate not in taken]
            if free:
                names[id(node)] = f"{free[0]}~" if free[0] in cell.states else free[0]
                taken.add(free[0])
    return names


def _gates_below(node: Node, names: dict[int, str], gate_of: dict[int, str]) -> list[str]:
    """The gates whose pre-activations (or their log σ) reach a node without passing a name."""
    given = [arg for arg in sorted_nodes(node) if id(arg) in names]
    return [gate_of[id(arg)] for arg in sorted_nodes(node, given=given) if id(arg) in gate_of]


def _local(node: Node, names: dict[int, str], graph: Graph, *, top: bool = True) -> Node:
    """The expression of a node down to the next names."""
    if id(node) in names and not top:
        return graph.node("leaf", value=names[id(node)])
    if names.get(id(node), "").startswith("l_"):
        return graph.node("log_sigmoid", graph.node("leaf", value="a_" + names[id(node)][2:]))
    return graph.node(node.op, *(_local(arg, names, graph, top=False) for arg in node.args), value=node.value)


def _preactivations(cell: Cell, graph: Graph, inner: dict[str, Node]) -> list[Line]:
    """W x, R s, b of every gate: a product with a matrix is a node `matrix` of the matrix's name."""

    def product(matrix: str, of: str) -> Node:
        return graph.node("matrix", graph.node("leaf", value=of), value=matrix)

    lines = []
    several = len(cell.sources) > 1
    for gate in cell.gates:
        read = [(f"R_{gate}{state if several else ''}", state) for state in cell.sources]
        if gate in inner:
            read = [(f"R_{gate}", f"q_{gate}")]
        read += [(f"R_{other}{gate}", other) for other in cell.feedback if gate in cell.feedback]  # from other to gate
        bias = graph.node("leaf", value=f"b_{gate}")
        recurrent = [product(*each) for each in read]
        if gate in cell.apart:
            second = graph.node("leaf", value=f"b'_{gate}")
            lines += [Line(f"a_{gate}", product(f"W_{gate}", "x") + bias), Line(f"u_{gate}", _sum(recurrent) + second)]
        else:
            lines.append(Line(f"a_{gate}", _sum([product(f"W_{gate}", "x"), *recurrent]) + bias))
    return lines


def _sum(terms: Sequence[Node]) -> Node:
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def _sorted(lines: list[Line], order: Sequence[str]) -> tuple[Line, ...]:
    """Each line after those that it reads, else as `order` says."""
    rank = {name: k for k, name in reversed(list(enumerate(order)))}
    waiting, done = sorted(lines, key=lambda line: rank.get(line.name, len(rank))), list[Line]()
    while waiting:
        missing = {line.name for line in waiting}
        ready = next(line for line in waiting if not missing & set(line.reads))
        waiting.remove(ready)
        done.append(ready)
    return tuple(done)


def backward(cell: Cell, forward: tuple[Line, ...]) -> tuple[Line, ...]:
    """The adjoint of every name that another line reads: a sum over those lines. The cell orders them, by its names."""
    graph, new = forward[0].value.graph, {f"{name}'" for name in cell.states}
    terms: dict[str, list[Node]] = {}
    readers = Counter(name for line in forward for name in line.reads)
    for line in forward:
        seed = graph.node("leaf", value=f"δ{line.name}")
        for name, term in _terms(line, seed, readers):
            terms.setdefault(name, []).append(term)
    biases = [name for name in terms if name.startswith("b")]
    gates = [gate for name in BACKWARDS for gate in cell.gates if name == gate]
    gates += [gate for gate in reversed(cell.gates) if gate not in gates]
    order = [name for gate in gates for name in
             (f"{gate}'" if gate in cell.states else gate, f"{gate}~", f"a_{gate}", f"q_{gate}", f"u_{gate}")]
    k = order.index("a_o") + 1 if "a_o" in order else 0
    order[k:k] = [f"{name}'" for name in cell.states if name not in cell.gates]
    order += [*reversed(cell.states), *(f"p_{gate}" for gate in cell.peepholes), *cell.vectors, "x"]
    lines = [Line(f"δ{name}", _sum(found), added=name in new) for name, found in terms.items() if name not in biases]
    return _sorted(lines, [f"δ{name}" for name in order])


def _terms(line: Line, seed: Node, readers: Counter[str]) -> Iterable[tuple[str, Node]]:
    """What a line with the adjoint `seed` adds to the adjoints of the names it reads."""
    graph, value = seed.graph, line.value
    if any(node.op == "matrix" for node in sorted_nodes(value)):
        products = [node for node in sorted_nodes(value) if node.op == "matrix"]
        return [(str(p.args[0].value), graph.node("matrix", seed, value=f"{p.value}ᵀ")) for p in products]
    if value.op == "log_sigmoid":
        return [(str(value.args[0].value), seed * (1 - value.args[0].sigmoid()))]
    if value.op in ACTIVATIONS:
        return _through(line, seed, readers)
    names = {id(value): line.name}  # a quotient's derivative asks for the quotient
    return [(name, _local(term, names, graph, top=False)) for name, term in _by_leaf(value, seed)]


def _through(line: Line, seed: Node, readers: Counter[str]) -> list[tuple[str, Node]]:
    """An activation: its own slope once, in the adjoint of its pre-activation, which the other summands then share.

    They may if nothing else reads the pre-activation: its adjoint then is that of the sum.
    """
    graph, value, total = seed.graph, line.value, line.value.args[0]
    slope = seed * _local(derivatives(value, [total])[0], {id(value): line.name}, graph, top=False)
    inputs = [node for node in sorted_nodes(total) if node.op == "leaf" and _alone(str(node.value), readers)]
    first = next((leaf for leaf, d in zip(inputs, derivatives(total, inputs), strict=True) if d.is_number(1)), None)
    if first is None:
        return _by_leaf(total, slope)
    shared = graph.node("leaf", value=f"δ{first.value}")
    rest = [(name, term) for name, term in _by_leaf(total, shared) if name != first.value]
    return [(str(first.value), slope), *rest]


def _alone(name: str, readers: Counter[str]) -> bool:
    return name[:2] in ("a_", "l_") and readers[name] == 1


def _by_leaf(value: Node, seed: Node) -> list[tuple[str, Node]]:
    read = [node for node in sorted_nodes(value) if node.op == "leaf"]
    return [(str(leaf.value), seed * d) for leaf, d in zip(read, derivatives(value, read), strict=True)]
