"""docs/families.md: its fields, its parameter counts and its receptive field are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gatesweep.models.budget import parameters
from gatesweep.models.config import ModelConfig
from gatesweep.models.families import FAMILIES, FIELDS

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "families.md").read_text(encoding="utf-8")
COMMON = {"family", "hidden_size", "layers", "dropout"}


def rows(heading: str) -> dict[str, list[str]]:
    """The table whose head has this cell: first cell -> the others."""
    table = PAGE[PAGE.index(f"| {heading} |") :].split("\n\n")[0].splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    return {first: rest for first, *rest in cells}


def formula(family: str, **letters: int) -> float:
    text = rows("parameters")[family][0].replace("·", "*").replace("²", "**2")
    return eval(text, {"__builtins__": {}}, letters)


@pytest.mark.parametrize("D", [1, 8])
@pytest.mark.parametrize("H", [12, 48])
@pytest.mark.parametrize("L", [1, 3])
def test_parameters_are_counted_as_the_page_says(D: int, H: int, L: int) -> None:
    options: dict[str, dict] = {
        "`recurrent`": {"family": "recurrent", "layers": L},
        "`attention`": {"family": "attention"},
        "`transformer`": {"family": "transformer", "layers": L, "attention_heads": 2},
        "`tcn`": {"family": "tcn", "layers": L, "kernel_size": 5},
        "`xlstm`, `m`": {"family": "xlstm", "layers": L, "xlstm_blocks": "m", "kernel_size": 5, "heads": 2},
        "`xlstm`, `s`, 3 dividing 4H": {"family": "xlstm", "layers": L, "xlstm_blocks": "s", "heads": 2},
        "`memory`": {"family": "memory", "memory_heads": 2, "memory_width": 7},
    }
    assert set(options) == set(rows("parameters"))
    for name, each in options.items():
        counted = parameters(ModelConfig(hidden_size=H, **each), D)
        assert formula(name, D=D, H=H, L=L, k=5, N=2, A=2, W=7) == pytest.approx(counted, abs=1e-6), name


def test_every_family_is_on_the_page_with_the_fields_that_it_has() -> None:
    table = rows("what it is")
    assert list(table) == [f"`{family}`" for family in FAMILIES]
    for family in ("transformer", "tcn", "xlstm"):
        named = set(re.findall(r"`(\w+)`", table[f"`{family}`"][-1]))
        assert named == FIELDS[family] - COMMON
    assert {"memory_slots", "memory_width", "memory_heads"} <= set(re.findall(r"`(\w+)`", table["`memory`"][-1]))
