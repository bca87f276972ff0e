"""The fused loop against the reference, which defines it: values, gradients, lengths, and cells made up here."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gatesweep.cells import fused, reference
from gatesweep.cells.description import Cell, Values, sigmoid, tanh
from gatesweep.cells.reference import State
from gatesweep.cells.variants import CELLS, GRU, PEEPHOLE, find
from gatesweep.cells.weights import Weights, initialise, shapes


def _feedback(g: Values, s: Values, p: Values) -> Values:
    """Two recurrent sources, one of them a gate, a state that no step reads, and a peephole on the candidate."""
    i, z = sigmoid(g["i"]), tanh(g["z"] + p["z"] * s["c"])
    c = s["c"] - i * (s["c"] - z)
    return {"h": tanh(c) * i, "c": c, "q": i}


FEEDBACK = Cell("feedback", gates=("i", "z"), states=("h", "c", "q"), step=_feedback, peepholes=("z",),
                sources=("h", "q"))
# Sums, differences and products in every order, a constant, a pre-activation used twice, a state that passes unchanged.
ODD = Cell("odd", gates=("a", "b"), states=("h", "k"), sources=("h",), apart=("b",), step=lambda g, s, p: {
    "h": 2.0 * (g["a"] * sigmoid(g["a"])) - tanh(g["b"] - g["b_recurrent"] * s["h"]) * s["k"] + (0.5 - s["h"]),
    "k": s["k"] * 1.0,
})  # fmt: skip
ALL = [*CELLS.values(), find("coupled", True), FEEDBACK, ODD]

each_cell = pytest.mark.parametrize("cell", ALL, ids=lambda cell: cell.name + ("+p" if cell.peepholes else ""))


def problem(cell: Cell, T: int, B: int, D: int, H: int, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    """x, weights and initial state, all wanting gradients."""
    torch.manual_seed(T + 10 * B + 100 * D + 1000 * H)
    sizes = shapes(cell, D, H)
    roles = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "peephole")
    weights = Weights(*(torch.empty(sizes.get(role, (0, H)), dtype=dtype) for role in roles))
    initialise(cell, weights, forget_bias=1.0)
    x, state = torch.randn(T, B, D, dtype=dtype), [torch.randn(B, H, dtype=dtype) for _ in cell.states]
    return [tensor.requires_grad_() for tensor in (x, *weights, *state)]


def run(unroll, cell: Cell, tensors: list[Tensor], lengths_B: Tensor | None = None) -> tuple[Tensor, ...]:
    x_TBD, weights, state = tensors[0], Weights(*tensors[1:6]), tuple(tensors[6:])
    h_TBH, last = unroll(cell, x_TBD, state, weights, lengths_B)
    return h_TBH, *last


def gradients(outputs: State, tensors: list[Tensor]) -> tuple[Tensor, ...]:
    loss = sum((y * torch.linspace(-1, 2, y.numel(), dtype=y.dtype).view_as(y)).sum() for y in outputs)
    return torch.autograd.grad(loss, tensors, materialize_grads=True)


@each_cell
def test_gradients_pass_gradcheck_in_float64(cell: Cell) -> None:
    tensors = problem(cell, T=3, B=2, D=2, H=2)
    assert torch.autograd.gradcheck(lambda *args: run(fused.unroll, cell, list(args)), tensors)


@each_cell
def test_the_reference_has_second_derivatives(cell: Cell) -> None:
    tensors = problem(cell, T=2, B=1, D=1, H=2)
    assert torch.autograd.gradgradcheck(lambda *args: run(reference.unroll, cell, list(args)), tensors)


@settings(max_examples=120)
@given(cell=st.sampled_from(ALL), sizes=st.tuples(*[st.integers(1, 7)] * 4), data=st.data(),
       block=st.sampled_from([1, 8, 1 << 14]))
def test_fused_equals_the_reference_whatever_the_sizes_lengths_and_blocks(cell, sizes, data, block) -> None:
    T, B, D, H = sizes
    lengths = data.draw(st.none() | st.lists(st.integers(1, T), min_size=B, max_size=B))
    lengths_B = None if lengths is None else torch.tensor(lengths)
    tensors = problem(cell, T, B, D, H)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fused, "BLOCK_VALUES", block)
        ours = run(fused.unroll, cell, tensors, lengths_B)
        ours_grad = gradients(ours, tensors)
    theirs = run(reference.unroll, cell, tensors, lengths_B)
    for a, b in zip((*ours, *ours_grad), (*theirs, *gradients(theirs, tensors)), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11)


@each_cell
def test_float32_differs_from_float64_by_rounding_alone(cell: Cell) -> None:
    exact = problem(cell, T=40, B=5, D=3, H=8)
    rounded = [tensor.detach().float().requires_grad_() for tensor in exact]
    got, expected = run(fused.unroll, cell, rounded), run(reference.unroll, cell, exact)
    for a, b in zip((*got, *gradients(got, rounded)), (*expected, *gradients(expected, exact)), strict=True):
        size = float(torch.linalg.vector_norm(b.detach()))
        torch.testing.assert_close(a.double(), b, rtol=2e-4, atol=2e-5 * (1 + size))


@each_cell
def test_inputs_need_not_be_contiguous(cell: Cell) -> None:
    tensors = problem(cell, T=4, B=3, D=2, H=2)
    strided = [tensors[0].detach().transpose(0, 1).contiguous().transpose(0, 1).requires_grad_(), *tensors[1:]]
    for a, b in zip(gradients(run(fused.unroll, cell, strided), strided),
                    gradients(run(fused.unroll, cell, tensors), tensors), strict=True):
        torch.testing.assert_close(a, b)


def test_the_same_numbers_come_out_every_time_bit_by_bit() -> None:
    results = []
    for _ in range(2):
        tensors = problem(PEEPHOLE, T=20, B=8, D=4, H=16, dtype=torch.float32)
        outputs = run(fused.unroll, PEEPHOLE, tensors)
        results.append((*outputs, *gradients(outputs, tensors)))
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_a_nan_stays_visible_in_its_own_sequence_and_harms_no_other() -> None:
    tensors = problem(PEEPHOLE, T=3, B=2, D=2, H=2)
    with torch.no_grad():
        tensors[0][1, 0, 0] = float("nan")
    h_TBH, *_ = run(fused.unroll, PEEPHOLE, tensors)
    assert h_TBH[1:, 0].isnan().all()
    assert not h_TBH[:, 1].isnan().any()


def test_a_retained_graph_gives_the_same_gradient_twice() -> None:
    tensors = problem(PEEPHOLE, T=4, B=3, D=2, H=2)
    loss = run(fused.unroll, PEEPHOLE, tensors)[0].square().sum()
    once = torch.autograd.grad(loss, tensors, retain_graph=True)
    assert all(torch.equal(a, b) for a, b in zip(once, torch.autograd.grad(loss, tensors), strict=True))


def test_a_derivative_of_the_derivative_is_refused() -> None:
    tensors = problem(GRU, T=2, B=1, D=1, H=1)
    (dx,) = torch.autograd.grad(run(fused.unroll, GRU, tensors)[0].square().sum(), tensors[:1], create_graph=True)
    with pytest.raises(RuntimeError, match="differentiate twice"):
        dx.sum().backward()


def test_writing_over_an_output_before_backward_is_noticed() -> None:
    tensors = problem(GRU, T=2, B=1, D=1, H=1)
    h_TBH, *_ = run(fused.unroll, GRU, tensors)
    loss = h_TBH.sum()
    with torch.no_grad():
        h_TBH.zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_a_step_that_forgets_a_state_is_refused() -> None:
    broken = replace(GRU, name="broken", states=("h", "c"))
    with pytest.raises(ValueError, match=r"gives \['h'\], its states are \['c', 'h'\]"):
        run(fused.unroll, broken, problem(broken, T=1, B=1, D=1, H=1))
