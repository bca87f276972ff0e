"""What is written of mLSTM is what runs: its lines, read back and computed, against torch's autograd."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from written_equations import by_matrix_memory, computed_of_a_head

from gatesweep.cells import MatrixLSTM
from gatesweep.cells.matrix_shown import BACKWARD, FORWARD, counts
from gatesweep.cells.shown import shown


def given(E: int, D: int, seed: int) -> dict[str, torch.Tensor]:
    """Every number that the lines of a head of E units begin with."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*size: int) -> torch.Tensor:
        return torch.randn(*size, generator=generator, dtype=torch.float64)

    width = {gate: 1 if gate in "if" else E for gate in "qkvifo"}
    found = {"x": draw(D, 1), "C": draw(E, E), "n": draw(E, 1), "m": draw(1, 1)}
    found |= {f"W_{gate}": draw(rows, D) for gate, rows in width.items()}
    found |= {f"b_{gate}": draw(rows, 1) for gate, rows in width.items()}
    return found | {"δh'": draw(E, 1), "δC'": draw(E, E), "δn'": draw(E, 1), "δm'": draw(1, 1)}


def run(lines: tuple[tuple[str, str], ...], values: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    for name, text in lines:
        values = {**values, name: computed_of_a_head(text, values)}
    return values


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("E", [1, 3])
def test_the_written_lines_compute_what_torch_computes_forwards_and_backwards(E: int, seed: int) -> None:
    start = given(E, 2, seed)
    values, truth = run(FORWARD + BACKWARD, start), by_matrix_memory(start)
    for name, value in truth.items():
        torch.testing.assert_close(values[name].flatten(), value.flatten(), rtol=1e-9, atol=1e-12, msg=name)


def test_the_seeds_take_both_branches_of_every_maximum() -> None:
    taken = [run(FORWARD, given(E, 2, seed)) for E in (1, 3) for seed in range(8)]
    assert {bool(values["t"] >= values["e"]) for values in taken} == {True, False}
    assert {bool(values["s"] >= 0) for values in taken} == {True, False}
    assert {bool(values["l_f"] + values["m"] >= values["a_i"]) for values in taken} == {True, False}


class Operations(TorchDispatchMode):
    """Additions, multiplications and functions, one for each number that comes out; a product of matrices has both."""

    NO_WORK = ("t", "transpose", "view", "detach", "_to_copy", "sum")

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out, name = func(*args, **(kwargs or {})), func.overloadpacket.__name__
        if name == "mm":
            self.count += out.numel() * (2 * args[0].shape[1] - 1)
        elif name == "sum":
            self.count += args[0].numel() - 1
        elif name == "log_sigmoid_forward":
            self.count += out[0].numel()
        elif name not in self.NO_WORK:
            self.count += out.numel()
        return out


@pytest.mark.parametrize(("D", "H"), [(2, 1), (2, 3), (5, 4), (1, 16)])
def test_counted_flops_are_the_operations_of_the_written_lines(D: int, H: int) -> None:
    start = given(H, D, 0)
    with Operations() as forward:
        values = run(FORWARD, start)
    with Operations() as backward:
        run(tuple(line for line in BACKWARD if line[0] != "δx"), values)
    R = 4 * H + 2
    products = 4 * R * D + R  # δx and δW: a multiplication and an addition for each weight; δb: an addition
    assert counts(D, H).forward_flops == forward.count
    assert counts(D, H).backward_flops == backward.count + products


@pytest.mark.parametrize("heads", [1, 4])
def test_counted_parameters_are_those_of_the_layer(heads: int) -> None:
    layer = MatrixLSTM(input_size=7, hidden_size=12, heads=heads)
    assert counts(7, 12, heads).parameters == sum(p.numel() for p in layer.parameters())


def test_lines_that_add_to_what_was_given_say_so_as_those_of_other_cells_do() -> None:
    lines = shown("mlstm", None, 2, 3).backward
    assert "δC' += δr (q / d)ᵀ" in lines
    assert "δm' += -δe · e - δf · f - δi · i" in lines
