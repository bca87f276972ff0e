"""minGRU and minLSTM over all time steps at once: against the paper's equations, the reference loop, and themselves."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gatesweep.cells import backends, linear, options, reference
from gatesweep.cells.description import Cell, sigmoid, tanh
from gatesweep.cells.reference import State
from gatesweep.cells.variants import CELLS, GRU, MINGRU, MINLSTM
from gatesweep.cells.weights import Weights, assemble, initialise, shapes

each_cell = pytest.mark.parametrize("cell", [MINGRU, MINLSTM], ids=lambda cell: cell.name)


def problem(cell: Cell, T: int, B: int, D: int, H: int) -> list[Tensor]:
    """x, h, input weights and the first bias, all wanting gradients."""
    torch.manual_seed(T + 10 * B + 100 * D + 1000 * H)
    parameters = {role: torch.empty(size, dtype=torch.float64) for role, size in shapes(cell, D, H).items()}
    initialise(cell, assemble(cell, parameters), forget_bias=1.0)
    x, h = torch.randn(T, B, D, dtype=torch.float64), torch.randn(B, H, dtype=torch.float64)
    return [tensor.requires_grad_() for tensor in (x, h, parameters["weight_ih"], parameters["bias_ih"])]


def run(unroll: backends.Unroll, cell: Cell, tensors: list[Tensor], *rest: Tensor | None) -> State:
    x, h, weight, bias = tensors
    weights: Weights = assemble(cell, {"weight_ih": weight, "bias_ih": bias, "bias_hh": torch.zeros_like(bias)})
    output, (last,) = unroll(cell, x, (h,), weights, *rest)
    return output, last


def gradients(outputs: State, tensors: list[Tensor]) -> tuple[Tensor, ...]:
    loss = sum((y * torch.linspace(-1, 2, y.numel(), dtype=y.dtype).view_as(y)).sum() for y in outputs)
    return torch.autograd.grad(loss, tensors, materialize_grads=True)


def paper(cell: Cell, x_TD: np.ndarray, h_H: np.ndarray, w: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Feng et al. 2024, sections 3.1.3 (minGRU) and 3.2.4 (minLSTM), for one sequence."""
    output = []
    for x in x_TD:
        a = dict(zip(cell.gates, np.split(w @ x + b, len(cell.gates)), strict=True))
        if cell is MINGRU:
            z = 1 / (1 + np.exp(-a["z"]))
            h_H = (1 - z) * h_H + z * a["n"]
        else:
            f, i = 1 / (1 + np.exp(-a["f"])), 1 / (1 + np.exp(-a["i"]))
            h_H = f / (f + i) * h_H + i / (f + i) * a["z"]
        output.append(h_H)
    return np.stack(output)


@each_cell
def test_the_parallel_form_computes_the_papers_equations(cell: Cell) -> None:
    tensors = problem(cell, T=90, B=2, D=3, H=4)
    output, last = run(linear.unroll, cell, tensors)
    x, h, weight, bias = (tensor.detach().numpy() for tensor in tensors)
    for k in range(2):
        np.testing.assert_allclose(output[:, k].detach().numpy(), paper(cell, x[:, k], h[k], weight, bias), rtol=1e-11)
    assert torch.equal(last, output[-1])


@settings(max_examples=80)
@given(cell=st.sampled_from([MINGRU, MINLSTM]), sizes=st.tuples(st.integers(1, 20), *[st.integers(1, 4)] * 3),
       segment=st.sampled_from([1, 20, 1 << 17]), data=st.data())
def test_it_equals_the_reference_whatever_the_sizes_lengths_and_segments(cell, sizes, segment, data) -> None:
    T, B, D, H = sizes
    lengths = data.draw(st.none() | st.lists(st.integers(1, T), min_size=B, max_size=B))
    lengths_B = None if lengths is None else torch.tensor(lengths)
    tensors = problem(cell, T, B, D, H)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(linear, "SEGMENT", segment)
        ours = run(linear.unroll, cell, tensors, lengths_B)
        ours_grad = gradients(ours, tensors)
    theirs = run(reference.unroll, cell, tensors, lengths_B)
    for a, b in zip((*ours, *ours_grad), (*theirs, *gradients(theirs, tensors)), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11)


@each_cell
def test_zoneout_and_dropout_of_the_candidate_leave_a_cell_linear_and_its_numbers_the_references(cell: Cell) -> None:
    masked = options.recurrent_dropout(options.zoneout(cell, ("h",)), "candidate")
    tensors = problem(cell, T=12, B=2, D=3, H=4)
    masks = torch.rand(12, 2, 2, 4, dtype=torch.float64)
    ours, theirs = (run(unroll, masked, tensors, None, masks) for unroll in (linear.unroll, reference.unroll))
    for a, b in zip((*ours, *gradients(ours, tensors)), (*theirs, *gradients(theirs, tensors)), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11)


@each_cell
def test_first_and_second_derivatives_are_those_of_finite_differences(cell: Cell) -> None:
    tensors = problem(cell, T=3, B=1, D=2, H=2)
    assert torch.autograd.gradcheck(lambda *args: run(linear.unroll, cell, list(args)), tensors)
    assert torch.autograd.gradgradcheck(lambda *args: run(linear.unroll, cell, list(args)), tensors)


@each_cell
def test_4096_steps_in_float32_stay_close_to_float64(cell: Cell) -> None:
    exact = problem(cell, T=4096, B=1, D=2, H=3)
    rounded = [tensor.detach().float().requires_grad_() for tensor in exact]
    ours, theirs = run(linear.unroll, cell, rounded), run(linear.unroll, cell, exact)
    for a, b in zip((*ours, *gradients(ours, rounded)), (*theirs, *gradients(theirs, exact)), strict=True):
        assert a.isfinite().all()
        torch.testing.assert_close(a.double(), b, rtol=1e-3, atol=1e-5 * (1 + float(b.detach().abs().max())))


@each_cell
def test_later_inputs_change_nothing_earlier(cell: Cell) -> None:
    tensors = [tensor.detach() for tensor in problem(cell, T=20, B=2, D=3, H=2)]
    before, _ = run(linear.unroll, cell, tensors)
    tensors[0][11:] = float("nan")
    assert torch.equal(run(linear.unroll, cell, tensors)[0][:11], before[:11])


def test_cells_whose_gates_see_no_state_are_the_ones_with_a_parallel_form() -> None:
    assert {name for name, cell in CELLS.items() if linear.is_linear(cell)} == {"mingru", "minlstm"}
    assert all(backends.supports("parallel", cell) for cell in (MINGRU, MINLSTM))
    curved = Cell("curved", gates=("z",), states=("h",), step=lambda g, s, p: {"h": tanh(s["h"]) * sigmoid(g["z"])},
                  sources=())
    assert not linear.is_linear(curved)
    assert not linear.is_linear(options.zoneout(GRU, ("h",)))


def test_a_cell_that_is_not_linear_is_refused() -> None:
    with pytest.raises(ValueError, match="cell 'gru' is not linear in its state"):
        linear.coefficients(GRU)
    with pytest.raises(ValueError, match="cell 'gru' has no parallel form"):
        backends.resolve(GRU, "parallel")
