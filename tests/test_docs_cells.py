"""The worked examples in docs/cells: every number follows from the code, and from the line it stands on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from written_equations import Page, by_autograd, by_matrix_memory, chain, computed, read

from gatesweep.cells.flow import gradient_flow
from gatesweep.cells.names import MATRIX_CELLS, NAMES
from gatesweep.cells.shown import shown
from gatesweep.cells.variants import find

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "cells"
HALF_A_DIGIT = 0.5e-4 * 1.001
ALL = (*NAMES, *MATRIX_CELLS)


def examples() -> dict[str, str]:
    """Cell -> its example as the pages have it."""
    found = {}
    for page in sorted(FOLDER.glob("*.md")):
        for section in re.split(r"^## ", page.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
            blocks = [text for text in re.findall(r"```text\n(.*?)\n```", section, re.DOTALL) if " = " in text]
            found |= {section.split("\n")[0]: text for text in blocks}
    return found


EXAMPLES = examples()


def torchs(name: str, given: dict[str, float]) -> dict[str, float]:
    """What torch computes of one step, of mlstm of a head of one unit."""
    if name not in MATRIX_CELLS:
        return by_autograd(find(name), given)
    numbers = {key: torch.full((1, 1), value, dtype=torch.float64) for key, value in given.items()}
    return {key: value.item() for key, value in by_matrix_memory(numbers).items()}


def wrong(name: str, page: Page) -> list[str]:
    """What on a page is not what the code computes from the page's own given numbers."""
    letters = chain(page.given, [(line.name, line.letters) for line in page.lines])
    truth = torchs(name, page.given)
    errors = []
    for line in page.lines:
        values = [letters[line.name], *([truth[line.name]] if line.name in truth else [])]
        if any(abs(value - float(line.value)) > HALF_A_DIGIT for value in values):
            errors.append(f"{line.name} is {values}, not {line.value}")
        if abs(computed(line.digits, {}) - float(line.value)) > 5e-4:  # of numbers that were rounded themselves
            errors.append(f"{line.name}: {line.digits} is not {line.value}")
    final = {line.name: float(line.value) for line in page.lines}
    missing = [key for key, value in truth.items() if key not in final and value]
    return errors + [f"{key} is missing" for key in missing]


def test_every_cell_has_a_worked_example():
    assert sorted(EXAMPLES) == sorted(ALL)


@pytest.mark.parametrize("name", ALL)
def test_the_numbers_of_an_example_are_those_of_the_reference_loop_and_autograd(name):
    assert wrong(name, read(EXAMPLES[name])) == []


@pytest.mark.parametrize("name", ALL)
def test_an_example_is_what_the_command_prints(name):
    assert EXAMPLES[name].splitlines() == shown(name, None, 1, 1).example


@pytest.mark.parametrize("name", ALL)
def test_a_changed_digit_of_any_value_is_found(name):
    page = read(EXAMPLES[name])
    for k, line in enumerate(page.lines):
        changed = line._replace(value=line.value[:-1] + str((int(line.value[-1]) + 3) % 10))
        assert wrong(name, page._replace(lines=[*page.lines[:k], changed, *page.lines[k + 1 :]])), line


@pytest.mark.parametrize("name", ALL)
def test_each_gate_is_worked_out(name):
    worked = {line.name for line in read(EXAMPLES[name]).lines}
    gates = shown(name, None, 1, 1).gates
    assert [gate for gate in gates if f"a_{gate}" not in worked or f"δa_{gate}" not in worked] == []


def test_the_lines_of_a_head_on_the_page_are_those_that_the_command_prints():
    cell, page = shown("mlstm", None, 1, 1), (FOLDER / "xlstm.md").read_text(encoding="utf-8")
    for lines in (cell.forward[len(cell.gates):], cell.backward):
        assert "\n\n" + "".join(f"    {line}\n" for line in lines) + "\n" in page


def measured() -> list[list[str]]:
    """The rows of the table of gradients: cell, forget bias, halves in, norms 1, 10, 50 and 100 steps back."""
    text = (FOLDER / "gradients.md").read_text(encoding="utf-8")
    return [[part.strip(" `") for part in row.split("|")] for row in re.findall(r"^\| (`.+) \|$", text, re.MULTILINE)]


def test_the_table_of_gradients_has_the_elman_network_and_the_lstm():
    assert {"rnn", "vanilla"} <= {row[0] for row in measured()}


@pytest.mark.parametrize("row", measured(), ids=lambda row: f"{row[0]}-{row[1]}")
def test_the_gradients_on_the_page_are_measured(row):
    name, bias, halves, *norms = row
    curve = gradient_flow(name, length=200, forget_bias=float(bias or 1))
    assert ("no" if curve.halves_in is None else f"{curve.halves_in:.1f}") == halves
    assert [f"{curve.norm[-1 - back]:.1e}" for back in (1, 10, 50, 100)] == norms
    assert bool(bias) == (curve.forget_bias is not None)
