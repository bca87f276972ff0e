"""Equations as the command line and the pages write them, read back and computed: plain text, plain Python.

    name = letters = digits = value        a line that begins with blanks and = goes on
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import exp, log, tanh
from typing import NamedTuple

import torch

from gatesweep.cells import reference
from gatesweep.cells.description import Cell
from gatesweep.cells.matrix import Memory, step
from gatesweep.cells.weights import assemble, shapes

NAME = r"δ?[A-Za-z]+(?:'?_\w+)?~?'?"
GIVEN = re.compile(rf"({NAME}) = (-?[\d.]+)(?:   |$)")
FUNCTIONS = {
    "sigmoid": lambda a: 1 / (1 + exp(-a)), "logsigmoid": lambda a: -log(1 + exp(-a)), "exp": exp, "log": log,
    "tanh": tanh, "max": max, "at_least": lambda a, b: float(a >= b),
}  # fmt: skip


class Written(NamedTuple):
    """One line of an example."""

    name: str
    letters: str
    digits: str
    value: str


class Page(NamedTuple):
    """An example as it stands on a page."""

    given: dict[str, float]
    lines: list[Written]


def read(text: str) -> Page:
    """The given numbers and the lines of an example."""
    joined = re.sub(r"\n +=", " =", text)
    given, lines = {}, []
    for row in filter(None, joined.splitlines()):
        found = GIVEN.findall(row)
        if found and "   ".join(f"{name} = {value}" for name, value in found) == row:
            given |= {name: float(value) for name, value in found}
        else:
            lines.append(Written(*row.split(" = ")))
    return Page(given, lines)


def computed(text: str, values: Mapping[str, float]) -> float:
    """The value of an expression in letters (or digits)."""
    code = re.sub(r"\[([^\]]+) ≥ ([^\]]+)\]", r"at_least(\1, \2)", text)
    code = code.replace("log σ(", "logsigmoid(").replace("σ(", "sigmoid(").replace("²", "**2").replace("ᵀ", "")
    code = re.sub(r"\b([WR]_\w+) (?=[\wδ(])", r"\1 * ", code)  # a matrix before what it multiplies
    code = code.replace("⊙", "*").replace("·", "*")
    names = {name: f"v{k}_" for k, name in enumerate(values)}
    code = re.sub(NAME + r"(?!\w|\()", lambda found: names.get(found[0], found[0]), code)
    return float(eval(code, {"__builtins__": {}}, {**FUNCTIONS, **{names[n]: v for n, v in values.items()}}))


def chain(given: Mapping[str, float], lines: list[tuple[str, str]]) -> dict[str, float]:
    """Every line's value from the unrounded values of those before it; `δc' = δc' + …` adds to what was given."""
    values = dict(given)
    for name, letters in lines:
        values[name] = computed(letters, values)
    return values


def by_autograd(cell: Cell, given: Mapping[str, float]) -> dict[str, float]:
    """New states, and the adjoints of states, input, peepholes, pre-activations, by torch from the same numbers."""

    def tensor(*names: str, shape: tuple[int, ...]) -> torch.Tensor:
        values = [given.get(name, 0.0) for name in names]
        return torch.tensor(values, dtype=torch.float64).reshape(shape).requires_grad_()

    sizes = shapes(cell, 1, 1)
    gates = cell.gates
    parameters = {
        "weight_ih": tensor(*(f"W_{g}" for g in gates), shape=sizes["weight_ih"]),
        "bias_ih": tensor(*(f"b_{g}" for g in gates), shape=sizes["bias_ih"]),
        "bias_hh": tensor(*(f"b'_{g}" for g in gates), shape=sizes["bias_hh"]),
    }
    if cell.sources:
        parameters["weight_hh"] = tensor(*(f"R_{g}" for g in gates), shape=sizes["weight_hh"])
    if cell.feedback:
        pairs = [f"R_{other}{g}" for g in cell.feedback for other in cell.feedback]
        parameters["feedback"] = tensor(*pairs, shape=sizes["feedback"])
    if cell.units:
        parameters["peephole"] = tensor(*(f"p_{g}" for g in cell.peepholes), *cell.vectors, shape=sizes["peephole"])
    x = tensor("x", shape=(1, 1, 1))
    state = tuple(tensor(name, shape=(1, 1)) for name in cell.states)
    _, new = reference.unroll(cell, x, state, assemble(cell, parameters))
    adjoints = [given.get(f"δ{name}'", 0.0) for name in cell.states]
    torch.autograd.backward(new, [torch.full((1, 1), value, dtype=torch.float64) for value in adjoints])
    found = {f"{name}'": value.item() for name, value in zip(cell.states, new, strict=True)}
    found |= {f"δ{name}": 0.0 if s.grad is None else s.grad.item() for name, s in zip(cell.states, state, strict=True)}
    found |= {f"δa_{g}": d.item() for g, d in zip(gates, parameters["bias_ih"].grad, strict=True)}
    found |= {f"δu_{g}": d.item() for g, d in zip(gates, parameters["bias_hh"].grad, strict=True) if g in cell.apart}
    if cell.units:
        names = [*(f"p_{g}" for g in cell.peepholes), *cell.vectors]
        found |= {f"δ{name}": d.item() for name, d in zip(names, parameters["peephole"].grad, strict=True)}
    return found | {"δx": x.grad.item()}


def computed_of_a_head(text: str, values: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """The value of an expression of vectors [E, 1], matrices [E, E] and numbers [1, 1]: what stands side by side is a
    matrix product."""
    code = re.sub(r"\|(\w+)\|", r"abs(\1)", text)
    code = re.sub(r"\[([^\]]+) ≥ ([^\]]+)\]", r"at_least(\1, \2)", code)
    code = code.replace("log σ(", "logsigmoid(").replace("σ(", "sigmoid(").replace("Σ(", "total(")
    code = re.sub(r"(?<=[\w')ᵀ]) (?=[\wδ(])", " @ ", code)
    code = code.replace("ᵀ", ".mT").replace("⊙", "*").replace("·", "*").replace("√E", "root")
    names = {name: f"v{k}_" for k, name in enumerate(values)}
    code = re.sub(NAME + r"(?!\w|\()", lambda found: names.get(found[0], found[0]), code)
    root = values["n"].numel() ** 0.5
    functions = {
        "exp": torch.exp, "sigmoid": torch.sigmoid, "logsigmoid": torch.nn.functional.logsigmoid, "sign": torch.sign,
        "max": torch.maximum, "abs": torch.abs, "total": lambda a: a.sum().view(1, 1),
        "at_least": lambda a, b: (a >= b).double(), "root": root,
    }  # fmt: skip
    return eval(code, {**functions, **{names[n]: v for n, v in values.items()}})


def by_matrix_memory(given: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """One head's new states, and the adjoints of states, input and pre-activations, by torch from the same numbers."""
    values = {name: value.detach().clone().requires_grad_() for name, value in given.items()}
    a = {gate: values[f"W_{gate}"] @ values["x"] + values[f"b_{gate}"] for gate in "qkvifo"}
    for each in a.values():
        each.retain_grad()
    E = len(a["k"])
    q, k, v = (a[gate].view(1, 1, E) for gate in "qkv")
    memory = Memory(values["C"].view(1, 1, E, E), values["n"].view(1, 1, E), values["m"].view(1, 1))
    gates = a["i"].view(1, 1), torch.nn.functional.logsigmoid(a["f"]).view(1, 1)
    read, after = step(memory, q, k / E**0.5, v, *gates)
    new = {"h'": torch.sigmoid(a["o"]) * read.view(E, 1), "C'": after.C_BNVE, "n'": after.n_BNE, "m'": after.m_BN}
    sum((given[f"δ{name}"].flatten() * value.flatten()).sum() for name, value in new.items()).backward()
    adjoints = {f"δa_{gate}": each.grad for gate, each in a.items()}
    adjoints |= {f"δ{name}": values[name].grad for name in ("C", "n", "m", "x")}
    return {name: value.detach() for name, value in (new | adjoints).items()}
