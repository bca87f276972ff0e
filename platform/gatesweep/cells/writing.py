"""Expressions as people write them: σ(a_i + p_i ⊙ c).

⊙ multiplies unit by unit, · a number with every unit, a matrix stands before what it multiplies, [a ≥ b] is 1 where it
holds and 0 elsewhere. `x - x²` is written x ⊙ (1 - x): the derivative of σ as textbooks have it.
"""

from __future__ import annotations

from collections.abc import Mapping

from gatesweep.cells.expression import Node

FUNCTIONS = {"sigmoid": "σ", "tanh": "tanh", "exp": "exp", "log": "log", "log_sigmoid": "log σ", "norm": "norm"}
NEGATIVE, SUM, PRODUCT, FACTOR, ATOM = range(5)


def written(node: Node, values: Mapping[str, str] | None = None) -> str:
    """The expression as text, names replaced by `values` where they have one."""
    return _text(node, values or {})[0]


def _text(node: Node, values: Mapping[str, str]) -> tuple[str, int]:
    """The text, and how tightly it binds."""

    def inside(arg: Node, least: int) -> str:
        text, binds = _text(arg, values)
        return text if binds >= least else f"({text})"

    a, b = (*node.args, None, None)[:2]
    if node.op == "leaf" or node.op == "number":
        text = values.get(str(node.value), str(node.value)) if node.op == "leaf" else f"{node.value:g}"
        return text, NEGATIVE if text.startswith("-") else ATOM
    assert a is not None
    if node.op == "matrix":
        number = values.get(str(node.value))
        if number is None:
            return f"{node.value} {inside(a, ATOM)}", FACTOR
        return f"{f'({number})' if number.startswith('-') else number} · {inside(a, ATOM)}", FACTOR
    if b is None:
        return f"{FUNCTIONS[node.op]}({written(a, values)})", ATOM
    if node.op in ("max", "ge"):
        return (f"max({written(a, values)}, {written(b, values)})" if node.op == "max"
                else f"[{written(a, values)} ≥ {written(b, values)}]"), ATOM
    if (positive := _opposite(node)) is not None:
        return f"-{inside(positive, PRODUCT)}", SUM
    if node.op == "add":
        if _opposite(a) is not None:
            a, b = b, a
        if (positive := _opposite(b)) is not None:
            return f"{inside(a, SUM)} - {inside(positive, PRODUCT)}", SUM
        return f"{inside(a, SUM)} + {inside(b, SUM)}", SUM
    if node.op == "sub":
        if b.op == "mul" and b.args == (a, a):
            return f"{inside(a, FACTOR)} ⊙ (1 - {inside(a, PRODUCT)})", PRODUCT
        return f"{inside(a, SUM)} - {inside(b, PRODUCT)}", SUM
    if node.op == "div":
        return f"{inside(a, PRODUCT)} / {inside(b, FACTOR)}", PRODUCT
    if a is b:
        return f"{inside(a, ATOM)}²", FACTOR
    for one, other in ((a, b), (b, a)):
        if one.op == "div" and one.args[0].is_number(1):
            return f"{inside(other, PRODUCT)} / {inside(one.args[1], FACTOR)}", PRODUCT
    sign = "·" if "number" in (a.op, b.op) else "⊙"
    left, right = (b, a) if b.op == "number" else (a, b)
    return f"{inside(left, PRODUCT)} {sign} {inside(right, FACTOR if right.op == 'div' else PRODUCT)}", PRODUCT


def _opposite(node: Node) -> Node | None:
    """y where the node is -y."""
    if node.op == "sub" and node.args[0].is_number(0):
        return node.args[1]
    if node.op != "mul":
        return None
    a, b = node.args
    if a.is_number(-1) or b.is_number(-1):
        return b if a.is_number(-1) else a
    if (positive := _opposite(b)) is not None:
        return a * positive
    return None if (positive := _opposite(a)) is None else positive * b
