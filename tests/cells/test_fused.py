"""The fused loop against the reference, which defines it: values, gradients, lengths, and cells made up here."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from cell_problems import gradients, problem
from hypothesis import given, settings
from hypothesis import strategies as st

from gatesweep.cells import fused, reference
from gatesweep.cells.description import Cell, Values, sigmoid, tanh
from gatesweep.cells.options import cell_norm, clip, recurrent_dropout, zoneout
from gatesweep.cells.variants import CELLS, GRU, GRU_BEFORE, PEEPHOLE, find


def _fed_back(g: Values, s: Values, p: Values) -> Values:
    """Two recurrent sources, one of them a gate, a state that no step reads, and a peephole on the candidate."""
    i, z = sigmoid(g["i"]), tanh(g["z"] + p["z"] * s["c"])
    c = s["c"] - i * (s["c"] - z)
    return {"h": tanh(c) * i, "c": c, "q": i}


FEEDBACK = Cell("feedback", gates=("i", "z"), states=("h", "c", "q"), step=_fed_back, peepholes=("z",),
                sources=("h", "q"))
# Sums, differences and products in every order, a constant, a pre-activation used twice, a state that passes unchanged.
ODD = Cell("odd", gates=("a", "b"), states=("h", "k"), sources=("h",), apart=("b",), step=lambda g, s, p: {
    "h": 2.0 * (g["a"] * sigmoid(g["a"])) - tanh(g["b"] - g["b_recurrent"] * s["h"]) * s["k"] + (0.5 - s["h"]),
    "k": s["k"] * 1.0,
})  # fmt: skip
OPTIONS = [
    zoneout(find("peephole"), ("h", "c")), zoneout(GRU, ("h",)), clip(find("vanilla"), 0.3), clip(find("fgr"), 0.3),
    recurrent_dropout(find("cifg"), "candidate"), recurrent_dropout(GRU, "variational"),
    recurrent_dropout(zoneout(recurrent_dropout(find("slstm"), "candidate"), ("h",)), "variational"),
    recurrent_dropout(zoneout(recurrent_dropout(clip(find("nog"), 0.5), "candidate"), ("c",)), "variational"),
]
REFERENCE_ALONE = [GRU_BEFORE, zoneout(GRU_BEFORE, ("h",)), cell_norm(PEEPHOLE), cell_norm(clip(find("fgr"), 0.3))]
ALL = [
    *(cell for cell in CELLS.values() if cell not in REFERENCE_ALONE),
    *(find(name, False) for name in CELLS if CELLS[name].peepholes), *OPTIONS, FEEDBACK, ODD,
]

each_cell = pytest.mark.parametrize("cell", ALL, ids=lambda cell: cell.name + ("+p" if cell.peepholes else ""))


@each_cell
def test_gradients_pass_gradcheck_in_float64(cell: Cell) -> None:
    task = problem(cell, T=3, B=2, D=2, H=2)
    assert torch.autograd.gradcheck(lambda *args: task.run(fused.unroll, args), task.tensors)


@settings(max_examples=250)
@given(cell=st.sampled_from(ALL), sizes=st.tuples(*[st.integers(1, 7)] * 4), data=st.data(),
       block=st.sampled_from([1, 8, 1 << 14]))
def test_fused_equals_the_reference_whatever_the_sizes_lengths_and_blocks(cell, sizes, data, block) -> None:
    T, B, D, H = sizes
    lengths = data.draw(st.none() | st.lists(st.integers(1, T), min_size=B, max_size=B))
    lengths_B = None if lengths is None else torch.tensor(lengths)
    heads = data.draw(st.sampled_from([n for n in range(1, H + 1) if H % n == 0])) if cell.sources == ("h",) else 1
    task = problem(cell, T, B, D, H, heads=1 if cell.feedback else heads)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fused, "BLOCK_VALUES", block)
        ours = task.run(fused.unroll, lengths_B=lengths_B)
        ours_grad = gradients(ours, task.tensors)
    theirs = task.run(reference.unroll, lengths_B=lengths_B)
    for a, b in zip((*ours, *ours_grad), (*theirs, *gradients(theirs, task.tensors)), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11)


@each_cell
def test_float32_differs_from_float64_by_rounding_alone(cell: Cell) -> None:
    exact = problem(cell, T=40, B=5, D=3, H=8)
    rounded = [tensor.detach().float().requires_grad_() for tensor in exact.tensors]
    got, expected = exact.run(fused.unroll, rounded), exact.run(reference.unroll)
    for a, b in zip((*got, *gradients(got, rounded)), (*expected, *gradients(expected, exact.tensors)), strict=True):
        size = float(torch.linalg.vector_norm(b.detach()))
        torch.testing.assert_close(a.double(), b, rtol=2e-4, atol=2e-5 * (1 + size))


@each_cell
def test_inputs_need_not_be_contiguous(cell: Cell) -> None:
    task = problem(cell, T=4, B=3, D=2, H=2)
    x_TBD = task.tensors[0].detach().transpose(0, 1).contiguous().transpose(0, 1).requires_grad_()
    strided = [x_TBD, *task.tensors[1:]]
    for a, b in zip(gradients(task.run(fused.unroll, strided), strided),
                    gradients(task.run(fused.unroll), task.tensors), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("cell", REFERENCE_ALONE, ids=lambda cell: cell.name)
def test_a_step_that_does_not_work_unit_by_unit_is_refused(cell: Cell) -> None:
    with pytest.raises(ValueError, match="does not work unit by unit; the reference loop runs it"):
        problem(cell, T=1, B=1, D=1, H=1).run(fused.unroll)


@pytest.mark.parametrize("option", [{"projection": 1}, {"norm": True}])
def test_what_the_fused_loop_does_not_have_is_refused(option) -> None:
    with pytest.raises(ValueError, match="no projection and no layer norm"):
        problem(PEEPHOLE, T=1, B=1, D=1, H=2, **option).run(fused.unroll)


def test_the_same_numbers_come_out_every_time_bit_by_bit() -> None:
    results = []
    for _ in range(2):
        task = problem(PEEPHOLE, T=20, B=8, D=4, H=16, dtype=torch.float32)
        outputs = task.run(fused.unroll)
        results.append((*outputs, *gradients(outputs, task.tensors)))
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_a_nan_stays_visible_in_its_own_sequence_and_harms_no_other() -> None:
    task = problem(PEEPHOLE, T=3, B=2, D=2, H=2)
    with torch.no_grad():
        task.tensors[0][1, 0, 0] = float("nan")
    h_TBH, *_ = task.run(fused.unroll)
    assert h_TBH[1:, 0].isnan().all()
    assert not h_TBH[:, 1].isnan().any()


def test_a_retained_graph_gives_the_same_gradient_twice() -> None:
    task = problem(PEEPHOLE, T=4, B=3, D=2, H=2)
    loss = task.run(fused.unroll)[0].square().sum()
    once = torch.autograd.grad(loss, task.tensors, retain_graph=True)
    assert all(torch.equal(a, b) for a, b in zip(once, torch.autograd.grad(loss, task.tensors), strict=True))


def test_a_derivative_of_the_derivative_is_refused() -> None:
    task = problem(GRU, T=2, B=1, D=1, H=1)
    (dx,) = torch.autograd.grad(task.run(fused.unroll)[0].square().sum(), task.tensors[:1], create_graph=True)
    with pytest.raises(RuntimeError, match="differentiate twice"):
        dx.sum().backward()


def test_writing_over_an_output_before_backward_is_noticed() -> None:
    h_TBH, *_ = problem(GRU, T=2, B=1, D=1, H=1).run(fused.unroll)
    loss = h_TBH.sum()
    with torch.no_grad():
        h_TBH.zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_a_step_that_forgets_a_state_is_refused() -> None:
    broken = replace(GRU, name="broken", states=("h", "c"))
    with pytest.raises(ValueError, match=r"gives \['h'\], its states are \['c', 'h'\]"):
        problem(broken, T=1, B=1, D=1, H=1).run(fused.unroll)
