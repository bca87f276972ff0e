"""A cell as a drawing in text, from its equations: what each gate looks at, and how the states are made.

    x, h, c ──▶ σ ──▶ i            c' ◀── + ─┬─ × ─┬─ f
                                             │     └─ c
                                             └─ × ─┬─ i
                                                   └─ z
"""

from __future__ import annotations

from gatesweep.cells.description import Cell
from gatesweep.cells.equations import ACTIVATIONS, Line, equations, leaves
from gatesweep.cells.expression import Node
from gatesweep.cells.writing import FUNCTIONS, written

_SIGNS = {"add": "+", "sub": "−", "mul": "×", "div": "÷", "max": "max", "ge": "≥"}


def drawing(cell: Cell, forward: tuple[Line, ...] | None = None) -> list[str]:
    """Lines of text: a line for each gate, then a tree for each state; `forward`: the cell's, where not its step's."""
    lines = forward or equations(cell).forward
    by_name = {line.name: line for line in lines}
    gates = [f"{gate}{mark}" for gate in cell.gates for mark in ("", "~", "'")]
    states = [line for line in lines if line.name.endswith("'")
              and (line.name not in gates or line.value.op not in ACTIVATIONS)]
    boxes = [line for line in lines if line not in states and line.name[:2] not in ("a_", "u_")]
    boxes.sort(key=lambda line: gates.index(line.name) if line.name in gates else -1)
    raw = {name for line in states for name in line.reads if name[:2] in ("a_", "u_")}
    rows = [(_looks_at(line, by_name), _sign(line.value), line.name) for line in boxes]
    rows += [(_looks_at(by_name[name], by_name), "Σ", name) for name in by_name if name in raw]
    left, middle = (max((len(row[k]) for row in rows), default=0) for k in (0, 1))
    drawn = [f"{seen:{left}} ──▶ {sign:{middle}} ──▶ {name}" for seen, sign, name in rows]
    for line in states:
        tree = _tree(line.value)
        drawn += ["", f"{line.name} ◀── {tree[0]}", *(" " * (len(line.name) + 5) + row for row in tree[1:])]
    return drawn


def _looks_at(line: Line, by_name: dict[str, Line]) -> str:
    """What reaches a gate: through its pre-activation the input and states, beside it whatever it reads itself."""
    seen: dict[str, None] = {}
    for name in sorted(line.reads, key=lambda name: name[:2] not in ("a_", "u_")):
        inputs = leaves(by_name[name].value) if name[:2] in ("a_", "u_", "l_") and name in by_name else (name,)
        for each in inputs:
            deeper = _looks_at(by_name[each], by_name).split(", ") if each[:2] in ("a_", "u_") else [each]
            seen |= {name: None for name in deeper if name[:2] not in ("b_", "b'", "p_")}
    return ", ".join(seen)


def _sign(node: Node) -> str:
    return _SIGNS.get(node.op) or FUNCTIONS.get(node.op) or "="


def _tree(node: Node) -> list[str]:
    if not node.args:
        return [written(node)]
    children = [_tree(arg) for arg in _flat(node)]
    label, rows = _sign(node), list[str]()
    if len(children) == 1:
        return [f"{label} ── {children[0][0]}", *(" " * (len(label) + 4) + row for row in children[0][1:])]
    for k, child in enumerate(children):
        first, last, indent = k == 0, k == len(children) - 1, " " * len(label)
        head = f"{label} ─┬─ " if first else indent + ("  └─ " if last else "  ├─ ")
        rows += [head + child[0], *(indent + ("     " if last else "  │  ") + row for row in child[1:])]
    return rows


def _flat(node: Node) -> list[Node]:
    """The terms of a sum of sums, the factors of a product of products."""
    if node.op not in ("add", "mul"):
        return list(node.args)
    return [end for arg in node.args for end in (_flat(arg) if arg.op == node.op else [arg])]
