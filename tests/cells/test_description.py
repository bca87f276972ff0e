"""What a cell may say of itself, and the arithmetic that follows from it."""

from __future__ import annotations

import os
import subprocess
import sys
from math import isclose, tanh

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatesweep.cells.derived import derive
from gatesweep.cells.description import Cell
from gatesweep.cells.expression import Graph, Node, derivatives, trace
from gatesweep.cells.names import ALIASES, NAMES, canonical, fits_torch
from gatesweep.cells.program import Program
from gatesweep.cells.variants import CELLS, PEEPHOLE, find


@pytest.mark.parametrize(("what", "value"), [
    ("peepholes", ("x",)), ("sources", ("y",)), ("apart", ("x",)), ("forget", {"x": 1.0}),
])  # fmt: skip
def test_a_cell_that_names_what_it_does_not_have_is_refused_at_birth(what: str, value) -> None:
    with pytest.raises(ValueError, match=rf"cell 'mine': {what} names \['(x|y)'\]"):
        Cell("mine", gates=("h",), states=("h",), step=lambda g, s, p: g, **{what: value})


def test_every_name_has_a_cell_and_every_cell_a_name() -> None:
    assert tuple(CELLS) == NAMES
    assert all(find(name).name == name for name in NAMES)
    assert all(find(alias).name == name for alias, name in ALIASES.items())


def test_names_and_cells_agree_on_what_torch_computes() -> None:
    plain = {name for name in NAMES if not find(name).peepholes and fits_torch(name, False)}
    assert plain == {"vanilla", "gru", "rnn"}
    assert fits_torch("peephole", False)
    assert not fits_torch("peephole", True)
    assert not fits_torch("coupled", False)


@pytest.mark.parametrize(("wrong", "right"), [
    ("lstm", "vanilla"), ("LSTM", "vanilla"), ("cifg", "coupled"), ("elman", "rnn"), ("peephol", "peephole"),
    ("GRU", "gru"),
])  # fmt: skip
def test_an_unknown_cell_is_answered_with_the_nearest(wrong: str, right: str) -> None:
    with pytest.raises(ValueError, match=f"unknown cell '{wrong}'; one of vanilla, .*\n\nhint: did you mean '{right}'"):
        canonical(wrong)


def test_peepholes_are_added_and_taken_away() -> None:
    assert find("vanilla", True) is PEEPHOLE
    assert find("peephole", False).peepholes == ()
    assert find("coupled", True).peepholes == ("i", "o")
    assert find("coupled", False) is find("coupled")
    assert find("gru", False) is find("gru")


def test_names_and_configuration_need_no_torch() -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    code = ("import sys, gatesweep.cells, gatesweep.cells.names, gatesweep.models, gatesweep.models.config; "
            "sys.exit('torch' in sys.modules)")
    assert subprocess.run([sys.executable, "-c", code], check=False, env=environment).returncode == 0


def evaluate(node: Node, values: dict[str, float]) -> float:
    """A node's value in plain floats."""
    if node.op == "leaf":
        return values[str(node.value)]
    if node.op == "number":
        return float(node.value or 0)
    a, *rest = (evaluate(arg, values) for arg in node.args)
    operations = {"add": lambda: a + rest[0], "sub": lambda: a - rest[0], "mul": lambda: a * rest[0],
                  "sigmoid": lambda: (1 + tanh(a / 2)) / 2, "tanh": lambda: tanh(a)}  # fmt: skip
    return operations[node.op]()


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_derivatives_of_a_step_equal_difference_quotients(name: str, data) -> None:
    step = trace(find(name))
    leaves = [*step.gates.values(), *step.states.values(), *step.peepholes.values()]
    values = {str(leaf.value): data.draw(st.floats(-2, 2)) for leaf in leaves}
    for new in step.new.values():
        for leaf, derivative in zip(leaves, derivatives(new, leaves), strict=True):
            up, down = (evaluate(new, values | {str(leaf.value): values[str(leaf.value)] + e}) for e in (1e-5, -1e-5))
            assert isclose(evaluate(derivative, values), (up - down) / 2e-5, abs_tol=1e-8)


def test_equal_expressions_are_one_node() -> None:
    graph = Graph()
    a, b = graph.node("leaf", value="a"), graph.node("leaf", value="b")
    assert a * b + 1.0 is a * b + 1.0
    assert a + 0.0 is a
    assert a * 1.0 is a
    assert (a * 0.0).is_number(0)
    assert (graph.number(2) * 3.0 - 1.0).is_number(5)


def test_a_program_that_lacks_an_input_is_refused() -> None:
    graph = Graph()
    a, b = graph.node("leaf", value="s.a"), graph.node("leaf", value="s.b")
    with pytest.raises(ValueError, match=r"needs s\.b, which is not among its inputs"):
        Program([a], [a * b])


@pytest.mark.parametrize(("name", "forward", "backward"),
                         [("vanilla", 8, 19), ("peephole", 11, 28), ("coupled", 8, 18)])
def test_a_step_takes_no_more_operations_than_it_must(name: str, forward: int, backward: int) -> None:
    derived = derive(find(name))
    assert len(derived.forward.instructions) <= forward
    assert len(derived.jacobian.instructions) <= backward
