"""A cell worked out in numbers: one step of one unit, forwards, and backwards from given adjoints of its new states.

The numbers are small and fixed, so that a page can show them and a test can compute them again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import exp, inf, log, log1p, nan, tanh
from typing import NamedTuple

from gatesweep.cells.description import Cell
from gatesweep.cells.equations import Equations, Line, equations
from gatesweep.cells.expression import Node, sorted_nodes
from gatesweep.cells.writing import written

STATES = {"h": 0.5, "c": 0.8, "n": 1.5, "m": 0.2, "i": 0.4, "f": 0.7, "o": 0.6}
INPUT_WEIGHTS, RECURRENT_WEIGHTS, BIASES = (0.6, -0.4, 0.8, 0.2), (0.2, 0.5, -0.7, 0.4), (0.1, 0.9, -0.2, 0.3)
PEEPHOLES, FEEDBACK, SECOND_BIAS = (0.3, -0.2, 0.5), (0.1, -0.2, 0.15, 0.3, 0.25, -0.1, 0.05, 0.2, -0.3), -0.15


WIDTH = 116


class Example(NamedTuple):
    """What is given, and the value of every line forwards and backwards."""

    given: dict[str, float]
    forward: list[tuple[Line, float]]
    backward: list[tuple[Line, float]]


def example(cell: Cell, lines: Equations | None = None, other: Mapping[str, float] | None = None) -> Example:
    """The worked example of a cell.

    Args:
        lines: the cell's, where not those of its step.
        other: given numbers in place of the usual ones.

    Raises:
        ValueError: as `equations`.
    """
    lines, given = lines or equations(cell), _given(cell) | dict(other or {})
    values = dict(given)
    forward, backward = (list(_evaluated(part, values)) for part in lines)
    return Example({name: given[name] for name in _used(lines, given)}, forward, backward)


def example_text(
    cell: Cell, lines: Equations | None = None, other: Mapping[str, float] | None = None
) -> list[str]:
    """The example as lines of text: `name = expression = the same in numbers = value`, to four decimals."""
    found = example(cell, lines, other)
    shown = {name: f"{value:g}" for name, value in found.given.items()}
    adjoints = [name for name in shown if name.startswith("δ")]
    text = _given_lines({name: value for name, value in shown.items() if name not in adjoints})
    text += ["", *_lines(found.forward, shown), "", *_given_lines({name: shown[name] for name in adjoints}), ""]
    return text + list(_lines(found.backward, shown))


def evaluate(node: Node, values: Mapping[str, float]) -> float:
    """An expression of one unit in numbers; matrices are numbers there too."""
    if node.op == "leaf":
        return values[str(node.value)]
    if node.op == "number":
        return float(node.value or 0)
    a, b = (*(evaluate(arg, values) for arg in node.args), nan)[:2]
    if node.op == "matrix":
        return values[str(node.value).removesuffix("ᵀ")] * a
    if node.op in ("log", "div") and (a if node.op == "log" else b) == 0:
        return -inf if node.op == "log" else nan
    results = {
        "add": lambda: a + b, "sub": lambda: a - b, "mul": lambda: a * b, "div": lambda: a / b,
        "max": lambda: max(a, b), "ge": lambda: float(a >= b), "exp": lambda: exp(a), "log": lambda: log(a),
        "tanh": lambda: tanh(a), "sigmoid": lambda: 1 / (1 + exp(-a)), "log_sigmoid": lambda: -log1p(exp(-a)),
    }  # fmt: skip
    return results[node.op]()


def _given(cell: Cell) -> dict[str, float]:
    given = {"x": 1.0} | {name: STATES.get(name, 0.25) for name in cell.states}
    for k, gate in enumerate(cell.gates):
        given |= {f"W_{gate}": INPUT_WEIGHTS[k % 4], f"b_{gate}": BIASES[k % 4], f"b'_{gate}": SECOND_BIAS}
        given |= {f"R_{gate}{s}": RECURRENT_WEIGHTS[(k + j) % 4] for j, s in enumerate(("", *cell.sources[1:]))}
        given |= {f"R_{gate}{s}": RECURRENT_WEIGHTS[(k + j) % 4] for j, s in enumerate(cell.sources)}
    pairs = [(gate, other) for gate in cell.gates if gate in cell.feedback for other in cell.feedback]
    given |= {f"R_{other}{gate}": FEEDBACK[k % 9] for k, (gate, other) in enumerate(pairs)}
    given |= {f"p_{gate}": PEEPHOLES[k % 3] for k, gate in enumerate(cell.peepholes)}
    given |= {name: 0.5 + 0.25 * k for k, name in enumerate(cell.vectors)}
    return given | {f"δ{name}'": 1.0 if k == 0 else 0.5 for k, name in enumerate(cell.states)}


def _used(lines: Equations, given: Mapping[str, float]) -> Iterator[str]:
    """The given names that a line reads or adds to."""
    used = set()
    for line in (*lines.forward, *lines.backward):
        named = [node for node in sorted_nodes(line.value) if node.op in ("leaf", "matrix")]
        used |= {str(node.value).removesuffix("ᵀ") for node in named}
        used |= {line.name} if line.added else set()
    return (name for name in given if name in used)


def _evaluated(lines: Iterable[Line], values: dict[str, float]) -> Iterator[tuple[Line, float]]:
    for line in lines:
        start = values[line.name] if line.added else 0.0
        values[line.name] = start + evaluate(line.value, values)
        yield line, values[line.name]


def _lines(found: Iterable[tuple[Line, float]], shown: dict[str, str]) -> Iterator[str]:
    """`shown` gains each line's value, as later lines show it."""
    for line, value in found:
        numbers = {**shown, **{f"{name}ᵀ": text for name, text in shown.items() if name.startswith(("W_", "R_"))}}
        name, start = (f"{line.name} + ", f"{shown[line.name]} + ") if line.added else ("", "")
        shown[line.name] = f"{value:.4f}"
        letters = (name + written(line.value)).replace("+ -", "- ")
        digits = (start + written(line.value, numbers)).replace("+ -", "- ").replace("⊙", "·")
        head, tail = f"{line.name} = {letters}", f"= {digits} = {value:.4f}"
        yield from [f"{head} {tail}"] if len(head + tail) < WIDTH else [head, " " * (len(line.name) + 1) + tail]


def _given_lines(values: Mapping[str, str]) -> list[str]:
    """x and the states on one line, then one line for each kind of parameter."""
    kinds: dict[str, list[str]] = {}
    for name, value in values.items():
        kinds.setdefault(name[0] if name[1:2] in ("_", "'") and name[0] != "δ" else "", []).append(f"{name} = {value}")
    return ["   ".join(parts) for parts in kinds.values()]
