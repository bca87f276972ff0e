"""A cell's step as C: a vector of units of one sequence, forwards, and backwards by the chain rule.

Both are straight-line code on the graph of `expression.py`. Forwards, an activation takes the place of its
pre-activation where no derivative asks for the latter (`derived.py`), so backwards no gate is computed twice.

A step that normalises a value over its units comes in stages, the loops doing what crosses units in between:

    forwards     step_enter: what is normalised -> e              step: the rest, from e normalised
    backwards    back_enter: the same -> e    back_middle: the adjoint of e normalised -> a    step_back: the rest

So does a step that holds a recurrent product, with what reaches the products' pre-activations in between:

    forwards     step_inner: what the products read -> q          step: the rest
    backwards    back_inner: the same -> q, the adjoints of the products -> da         step_back: the rest, from dq
"""

from __future__ import annotations

from gatesweep.cells.derived import kept_places
from gatesweep.cells.description import Cell
from gatesweep.cells.expression import Node, sorted_nodes, trace, vjp
from gatesweep.cells.native.layout import inner_columns, layout

_C = {
    "add": "{} + {}",
    "sub": "{} - {}",
    "mul": "{} * {}",
    "div": "{} / {}",
    "max": "larger({}, {})",
    "ge": "not_below({}, {})",
    "sigmoid": "sigmoid({})",
    "tanh": "tanhyp({})",
    "exp": "exponential({})",
    "log": "logarithm({})",
}
_SIGNATURES = {
    "step_enter": "Row r, real *e, const real *p, long H, long j",
    "step": "Row r, const real *e, const real *p, long H, long j",
    "back_enter": "Row r, real *e, const real *p, long H, long j",
    "back_middle": "Row r, const real *e, real *a, const real *p, long H, long j",
    "step_back": "Row r, const real *e, const real *a, const real *p, real *dp, long H, long j",
    "step_inner": "Row r, const real *p, long H, long j",
    "back_inner": "Row r, const real *p, long H, long j",
}


def step_functions(cell: Cell) -> str:
    """The functions of the loops in C.

    Raises:
        KeyError: an operation without a C function.
    """
    step = _Step(cell)
    bodies = {"step": step.forward(), "step_back": step.backward()}
    if step.inside is not None:
        bodies |= {"step_enter": step.enter(), "back_enter": step.enter_back(), "back_middle": step.middle_back()}
    if step.read:
        bodies |= {"step_inner": step.inner(), "back_inner": step.inner_back()}
    return "\n\n".join(
        f"INLINE void {name}({_SIGNATURES[name]}) {{\n{body}\n}}" for name, body in bodies.items()
    )


class _Lines:
    """C statements, each node computed once; a node that is `given` has a C expression already."""

    def __init__(self, given: dict[int, str]) -> None:
        self.text: list[str] = []
        self.given = dict(given)
        self._names, self._stores = dict(given), list[str]()

    def value(self, node: Node) -> str:
        """The C name of a node's value, computed by now."""
        known = [each for each in sorted_nodes(node) if id(each) in self._names]
        for each in sorted_nodes(node, given=known):
            if id(each) not in self._names:
                self._names[id(each)] = self._line(each)
        return self._names[id(node)]

    def store(self, place: str, node: Node, *, add: bool = False) -> None:
        """After everything is read: what a store writes over may be asked for until then."""
        held = f"w{len(self._stores)}"
        self.text.append(f"const vec {held} = {self.value(node)};")
        self._stores.append(f"store({place}, {f'load({place}) + ' if add else ''}{held});")

    def _line(self, node: Node) -> str:
        if node.op == "number":
            return f"all((real){node.value!r})"
        name = f"v{len(self.text)}"
        self.text.append(f"const vec {name} = {_C[node.op].format(*(self._names[id(arg)] for arg in node.args))};")
        return name

    def body(self) -> str:
        return "\n".join(f"  {line}" for line in [*self.text, *self._stores])


class _Step:
    """A traced step, where its values stand, and its functions' bodies."""

    def __init__(self, cell: Cell) -> None:
        step, self.columns = trace(cell), [layout(cell).index(name) for name in cell.preactivations]
        norms = [node for node in sorted_nodes(*step.new.values()) if node.op == "norm"]
        self.normed = step.graph.node("leaf", value="normed")
        cut: dict[int, Node] = {id(norm): self.normed for norm in norms}
        self.step, self.inside = step, _without(cut, norms[0].args[0]) if norms else None
        self.new = [_without(cut, node) for node in step.new.values()]
        self.kept = {self.columns[k]: _without(cut, node) for k, node in kept_places(step).items()}
        self.seeds = [step.graph.node("leaf", value=f"d.{k}") for k in range(len(self.new))]
        self.read = [step.inner[layout(cell)[k]] for k in inner_columns(cell)]
        self.inner_gates = [step.gates[layout(cell)[k]] for k in inner_columns(cell)]
        self.leaves = self._leaves()

    def _leaves(self) -> dict[int, str]:
        """Where each leaf is read."""
        step = self.step
        places = {id(x): f"load(r.g + {k} * H + j)" for k, x in zip(self.columns, step.gates.values(), strict=True)}
        for name, leaves in (("r.s[{}] + j", step.states), ("p + {} * H + j", step.peepholes),
                             ("r.m + {} * H + j", step.masks)):
            places |= {id(leaf): f"load({name.format(k)})" for k, leaf in enumerate(leaves.values())}
        places |= {id(seed): f"load(r.d[{k}] + j)" for k, seed in enumerate(self.seeds)}
        return places | {id(self.normed): "load(e + j)"}

    def _places(self) -> dict[int, tuple[str, Node]]:
        """What the step leaves behind: activations over pre-activations, and new states."""
        left = {id(node): (f"r.g + {k} * H + j", node) for k, node in self.kept.items()}
        return left | {id(node): (f"r.n[{k}] + j", node) for k, node in enumerate(self.new) if node.args}

    def _early(self) -> dict[int, tuple[str, Node]]:
        """What of it is known before the norm, or before the inner products."""
        first = self.read if self.inside is None else [self.inside]
        inside = {id(node) for node in sorted_nodes(*first)}
        return {key: left for key, left in self._places().items() if key in inside}

    def enter(self) -> str:
        """What is normalised -> e, and what is known by then."""
        lines = _Lines(self.leaves)
        for place, node in self._early().values():
            lines.store(place, node)
        assert self.inside is not None
        lines.store("e + j", self.inside)
        return lines.body()

    def inner(self) -> str:
        """What the inner products read -> q, and what is known by then."""
        lines = _Lines(self.leaves)
        for place, node in self._early().values():
            lines.store(place, node)
        self._store_read(lines)
        return lines.body()

    def _store_read(self, lines: _Lines) -> None:
        for k, node in enumerate(self.read):
            lines.store(f"r.q + {k} * H + j", node)

    def forward(self) -> str:
        """New states, and activations over their pre-activations."""
        early = self._early()
        lines = _Lines(self.leaves | {key: f"load({place})" for key, (place, _) in early.items()})
        for key, (place, node) in self._places().items():
            if key not in early:
                lines.store(place, node)
        for k, node in enumerate(self.new):
            if not node.args:  # a state that passes unchanged
                lines.store(f"r.n[{k}] + j", node)
        return lines.body()

    def _back_lines(self) -> _Lines:
        return _Lines(self.leaves | {key: f"load({place})" for key, (place, _) in self._places().items()})

    def enter_back(self) -> str:
        """What was normalised -> e."""
        lines = self._back_lines()
        assert self.inside is not None
        lines.store("e + j", self.inside)
        return lines.body()

    def middle_back(self) -> str:
        """The adjoint of what is normalised by then -> a."""
        lines = self._back_lines()
        lines.store("a + j", vjp(self.new, self.seeds, [self.normed])[0])
        return lines.body()

    def inner_back(self) -> str:
        """What the inner products read -> q, the adjoints of their pre-activations -> da."""
        lines = self._back_lines()
        self._store_read(lines)
        for k, node in enumerate(vjp(self.new, self.seeds, self.inner_gates)):
            lines.store(f"r.da + {k} * H + j", node)
        return lines.body()

    def backward(self) -> str:
        """Adjoints of the pre-activations over them, of the states before over those after, of the parameters."""
        step, new, seeds = self.step, list(self.new), list(self.seeds)
        lines = self._back_lines()
        if self.inside is not None:
            through = step.graph.node("leaf", value="a")
            lines = _Lines({**lines.given, id(through): "load(a + j)"})
            new, seeds = [*new, self.inside], [*seeds, through]
        for k, node in enumerate(self.read):
            through = step.graph.node("leaf", value=f"dq.{k}")
            lines = _Lines({**lines.given, id(through): f"load(r.dq + {k} * H + j)"})
            new, seeds = [*new, node], [*seeds, through]
        gates, states, units = (list(leaves.values()) for leaves in (step.gates, step.states, step.peepholes))
        adjoints = vjp(new, seeds, [*gates, *states, *units])
        places = [f"r.g + {k} * H + j" for k in self.columns] + [f"r.d[{k}] + j" for k in range(len(states))]
        for place, node in zip(places, adjoints, strict=False):
            lines.store(place, node)
        for k, node in enumerate(adjoints[len(places) :]):
            lines.store(f"dp + {k} * H + j", node, add=True)
        return lines.body()


def _without(cut: dict[int, Node], node: Node) -> Node:
    """The expression with every cut node replaced; `cut` remembers what was rebuilt."""
    for each in sorted_nodes(node):
        if id(each) not in cut:
            args = [cut[id(arg)] for arg in each.args]
            cut[id(each)] = each.graph.node(each.op, *args, value=each.value) if args else each
    return cut[id(node)]
