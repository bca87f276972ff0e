"""What a cell may say of itself, and the arithmetic that follows from it."""

from __future__ import annotations

import os
import subprocess
import sys
from math import exp, isclose, log, log1p, tanh

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gatesweep.cells.derived import derive
from gatesweep.cells.description import Cell, log_sigmoid, maximum
from gatesweep.cells.expression import Graph, Node, Trace, derivatives, sorted_nodes, trace, vjp
from gatesweep.cells.names import ALIASES, NAMES, WITH_PEEPHOLES, canonical, fits_torch
from gatesweep.cells.options import clip, recurrent_dropout, zoneout
from gatesweep.cells.program import Program
from gatesweep.cells.variants import CELLS, PEEPHOLE, find


@pytest.mark.parametrize(("what", "value"), [
    ("peepholes", ("x",)), ("sources", ("y",)), ("apart", ("x",)), ("forget", {"x": 1.0}), ("feedback", ("x",)),
    ("start", {"x": 0.0}), ("initial", {"x": 0.0}),
])  # fmt: skip
def test_a_cell_that_names_what_it_does_not_have_is_refused_at_birth(what: str, value) -> None:
    with pytest.raises(ValueError, match=rf"cell 'mine': {what} names \['(x|y)'\]"):
        Cell("mine", gates=("h",), states=("h",), step=lambda g, s, p: g, **{what: value})


@pytest.mark.parametrize(("message", "fields"), [
    (r"\['h'\] stands twice among its recurrent sources", {"feedback": ("h",)}),
    (r"\['h'\] stands twice among its units", {"peepholes": ("h",), "vectors": ("h",)}),
    (r"\['m'\] stands twice among its masks", {"masks": ("m", "m")}),
])  # fmt: skip
def test_a_name_that_stands_for_two_things_is_refused_at_birth(message: str, fields) -> None:
    with pytest.raises(ValueError, match=message):
        Cell("mine", gates=("h",), states=("h",), step=lambda g, s, p: g, **fields)


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
    ("lstm", "vanilla"), ("LSTM", "vanilla"), ("CIFG", "cifg"), ("elman", "rnn"), ("peephol", "peephole"),
    ("GRU", "gru"),
])  # fmt: skip
def test_an_unknown_cell_is_answered_with_the_nearest(wrong: str, right: str) -> None:
    with pytest.raises(ValueError, match=f"unknown cell '{wrong}'; one of vanilla, .*\n\nhint: did you mean '{right}'"):
        canonical(wrong)


def test_peepholes_are_added_and_taken_away() -> None:
    assert find("vanilla", True) is PEEPHOLE
    assert find("peephole", False).peepholes == ()
    assert find("coupled", True) is find("cifg")
    assert find("cifg", False) is find("coupled")
    assert find("cifg").peepholes == ("i", "o")
    assert find("nig", False) is find("nig", False)
    assert all(find(name, False).peepholes == () for name in WITH_PEEPHOLES)
    assert {name for name in NAMES if find(name).peepholes} == set(WITH_PEEPHOLES)
    assert find("coupled", False) is find("coupled")
    assert find("gru", False) is find("gru")


def test_names_and_configuration_need_no_torch() -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    code = ("import sys, gatesweep.cells, gatesweep.cells.names, gatesweep.models, gatesweep.models.config; "
            "sys.exit('torch' in sys.modules)")
    assert subprocess.run([sys.executable, "-c", code], check=False, env=environment).returncode == 0


def evaluate(outputs: list[Node], values: dict[str, float]) -> list[float]:
    """The nodes' values in plain floats."""
    operations = {
        "add": lambda a, b: a + b, "sub": lambda a, b: a - b, "mul": lambda a, b: a * b, "div": lambda a, b: a / b,
        "max": max, "ge": lambda a, b: float(a >= b), "exp": exp, "log": log, "tanh": tanh,
        "sigmoid": lambda a: (1 + tanh(a / 2)) / 2,
    }  # fmt: skip
    known: dict[int, float] = {}
    for node in sorted_nodes(*outputs):
        if node.op == "leaf":
            known[id(node)] = values[str(node.value)]
        elif node.op == "number":
            known[id(node)] = float(node.value or 0)
        else:
            known[id(node)] = float(operations[node.op](*(known[id(arg)] for arg in node.args)))
    return [known[id(node)] for node in outputs]


def leaves_of(step: Trace) -> list[Node]:
    return [*step.gates.values(), *step.states.values(), *step.peepholes.values(), *step.masks.values()]


def drawn(step: Trace, data) -> dict[str, float]:
    """Values of the leaves at which the step is smooth. Only sLSTM divides by a state, its normaliser: above 0."""
    leaves = [str(leaf.value) for leaf in leaves_of(step)]
    values = {leaf: data.draw(st.floats(0.25, 2) if leaf == "s.n" else st.floats(-2, 2)) for leaf in leaves}
    kinks = [node for node in sorted_nodes(*step.new.values()) if node.op == "max"]
    assume(all(abs(a - b) > 1e-3 for kink in kinks for a, b in [evaluate(list(kink.args), values)]))
    return values


STEPS = [*CELLS.values(), recurrent_dropout(zoneout(clip(find("peephole"), 0.5), ("h", "c")), "variational")]


@pytest.mark.parametrize("cell", STEPS, ids=lambda cell: cell.name)
@given(data=st.data())
def test_derivatives_of_a_step_equal_difference_quotients(cell: Cell, data) -> None:
    step = trace(cell)
    leaves, values, new = leaves_of(step), drawn(step, data), list(step.new.values())
    exact = [evaluate(derivatives(node, leaves), values) for node in new]
    for k, leaf in enumerate(leaves):
        up, down = (evaluate(new, values | {str(leaf.value): values[str(leaf.value)] + e}) for e in (1e-5, -1e-5))
        for of, above, below in zip(exact, up, down, strict=True):
            assert isclose(of[k], (above - below) / 2e-5, rel_tol=1e-6, abs_tol=1e-7)


@pytest.mark.parametrize("cell", STEPS, ids=lambda cell: cell.name)
@given(data=st.data())
def test_one_sweep_for_all_states_is_the_weighed_sum_of_one_for_each(cell: Cell, data) -> None:
    step = trace(cell)
    leaves, new = leaves_of(step), list(step.new.values())
    seeds = [step.graph.node("leaf", value=f"d.{name}") for name in step.new]
    weights = {str(seed.value): data.draw(st.floats(-2, 2)) for seed in seeds}
    values = drawn(step, data) | weights
    together = evaluate(vjp(new, seeds, leaves), values)
    apart = [evaluate(derivatives(node, leaves), values) for node in new]
    for k, total in enumerate(together):
        assert isclose(total, sum(w * d[k] for w, d in zip(weights.values(), apart, strict=True)), abs_tol=1e-9)


@given(x=st.floats(-700, 700))
def test_the_logarithm_of_the_logistic_function_neither_overflows_nor_loses_its_slope(x: float) -> None:
    graph = Graph()
    leaf = graph.node("leaf", value="x")
    node = log_sigmoid(leaf)
    value, slope = evaluate([node, *derivatives(node, [leaf])], {"x": x})
    assert isclose(value, -log1p(exp(-x)) if x > 0 else x - log1p(exp(x)), rel_tol=1e-12, abs_tol=1e-15)
    assert isclose(slope, (1 - tanh(x / 2)) / 2, abs_tol=1e-15)


@given(a=st.floats(-3, 3), b=st.floats(0.1, 3))
def test_constants_are_worked_out_while_the_graph_is_made(a: float, b: float) -> None:
    graph = Graph()
    x, y = graph.number(a), graph.number(b)
    for node, value in (
        (x + y, a + b), (x - y, a - b), (x * y, a * b), (x / y, a / b), (2.0 / y, 2 / b), (x.exp(), exp(a)),
        (y.log(), log(b)), (maximum(x, y), max(a, b)), (maximum(0.5, x), max(0.5, a)), (x.ge(y), float(a >= b)),
    ):  # fmt: skip
        assert node.op == "number"
        assert node.value == value


def test_equal_expressions_are_one_node() -> None:
    graph = Graph()
    a, b = graph.node("leaf", value="a"), graph.node("leaf", value="b")
    assert a * b + 1.0 is a * b + 1.0
    assert a + 0.0 is a
    assert a * 1.0 is a
    assert (a * 0.0).is_number(0)
    assert a / 1.0 is a
    assert (0.0 / a).is_number(0)
    assert maximum(0.5, a) is maximum(a, 0.5)
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
