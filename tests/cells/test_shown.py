"""What `gatesweep cells show` prints is what runs: its text, read back and computed, against torch's autograd."""

from __future__ import annotations

import random
import re

import pytest
from written_equations import by_autograd, chain

from gatesweep.cells.counts import counts
from gatesweep.cells.description import Cell
from gatesweep.cells.drawing import drawing
from gatesweep.cells.equations import equations
from gatesweep.cells.example import example
from gatesweep.cells.layer import Recurrent
from gatesweep.cells.papers import PAPERS
from gatesweep.cells.variants import CELLS, find
from gatesweep.cells.writing import written

ALL = list(CELLS.values())


def _text(cell: Cell) -> list[tuple[str, str]]:
    """Each line's name and letters; one that adds to what was given says so."""
    forward, backward = equations(cell)
    return [(line.name, (f"{line.name} + " if line.added else "") + written(line.value)) for line in forward + backward]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("cell", ALL, ids=lambda cell: cell.name)
def test_the_printed_equations_compute_what_torch_computes_forwards_and_backwards(cell, seed):
    draw = random.Random(seed)
    given = {name: draw.uniform(-1.5, 1.5) for name in example(cell).given}
    given |= {"n": draw.uniform(0.5, 2.0)} if "n" in cell.states else {}  # sLSTM's normaliser is positive
    values, truth = chain(given, _text(cell)), by_autograd(cell, given)
    mentioned = {name: value for name, value in truth.items() if name in values}
    assert mentioned == pytest.approx({name: values[name] for name in mentioned}, rel=1e-9, abs=1e-12)
    assert {name for name, value in truth.items() if name not in values and value} == set()


@pytest.mark.parametrize("cell", ALL, ids=lambda cell: cell.name)
def test_the_backward_step_goes_from_the_output_gate_to_the_candidate(cell):
    names = [line.name.rstrip("'") for line in equations(cell).backward]
    first = [names.index(name) for name in ("δo", "δc", "δf", "δi", "δz") if "c" in cell.states and name in names]
    assert first == sorted(first)


@pytest.mark.parametrize("cell", ALL, ids=lambda cell: cell.name)
def test_every_gate_stands_in_the_drawing_and_so_does_every_state(cell):
    text = "\n".join(drawing(cell))
    assert [gate for gate in cell.gates if not re.search(rf"──▶ (a_)?{gate}'?$", text, re.MULTILINE)] == []
    assert [state for state in cell.states if not re.search(rf"^{state}' ◀── |──▶ {state}'$", text, re.MULTILINE)] == []


def test_the_drawing_of_a_peephole_cell_shows_which_gates_look_at_which_cell_state():
    rows = re.findall(r"^(.+?) +──▶ \S+ +──▶ (\w)$", "\n".join(drawing(find("peephole"))), re.MULTILINE)
    assert rows == [("x, h, c", "i"), ("x, h, c", "f"), ("x, h", "z"), ("x, h, c'", "o")]


@pytest.mark.parametrize("cell", ALL, ids=lambda cell: cell.name)
def test_counted_parameters_are_those_of_the_layer(cell):
    layer = Recurrent(cell.name, input_size=7, hidden_size=12)
    assert counts(cell, 7, 12).parameters == sum(p.numel() for p in layer.parameters())


def test_flops_of_an_lstm_step_are_those_of_its_products_and_its_nine_operations_on_each_unit():
    # 8 H (D + H) for four gates; σ σ σ tanh, two products, one sum, tanh, one product
    assert counts(find("vanilla"), 64, 128).forward_flops == 8 * 128 * (64 + 128) + 9 * 128


def test_a_step_costs_a_cell_without_a_gate_three_quarters_of_the_products():
    whole, less = (counts(find(name), 512, 512).forward_flops for name in ("peephole", "nig"))
    assert less / whole == pytest.approx(0.75, abs=0.002)


def test_every_cell_names_its_paper():
    assert [name for name in CELLS if not re.search(r"\b(19|20)\d\d\b", PAPERS.get(name, ""))] == []
