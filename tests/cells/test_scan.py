"""The parallel scan against the recurrence, written out in numpy: values, derivatives, lengths of any size, range."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gatesweep.cells import scan
from gatesweep.cells.scan import linear_scan

# 0: as where a step is too narrow to fill a core, in blocks; the other: as on a CPU with wide steps, step after step.
both_ways = pytest.mark.parametrize("full", [0, scan.FULL], ids=["blocks", "steps"])


def problem(T: int, B: int, H: int, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    """a, b and h0, all wanting gradients."""
    torch.manual_seed(T + 10 * B + 100 * H)
    a, b, h0 = torch.rand(T, B, H, dtype=dtype), torch.randn(T, B, H, dtype=dtype), torch.randn(B, H, dtype=dtype)
    return [tensor.requires_grad_() for tensor in (a, b, h0)]


def recurrence(a_TBH: np.ndarray, b_TBH: np.ndarray, h_BH: np.ndarray) -> np.ndarray:
    steps = []
    for a, b in zip(a_TBH, b_TBH, strict=True):
        h_BH = a * h_BH + b
        steps.append(h_BH)
    return np.stack(steps)


@settings(max_examples=100)
@given(T=st.integers(1, 70), B=st.integers(1, 3), H=st.integers(1, 3), full=st.sampled_from([0, scan.FULL]))
def test_the_scan_is_the_recurrence_whatever_the_sizes(T: int, B: int, H: int, full: int) -> None:
    a, b, h0 = problem(T, B, H)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scan, "FULL", full)
        h_TBH = linear_scan(a, b, h0)
    np.testing.assert_allclose(h_TBH.detach().numpy(), recurrence(*(x.detach().numpy() for x in (a, b, h0))),
                               rtol=1e-12, atol=1e-13)


@both_ways
@pytest.mark.parametrize("T", [1, 2, 7, 9])
def test_first_and_second_derivatives_are_those_of_finite_differences(T: int, full: int, monkeypatch) -> None:
    monkeypatch.setattr(scan, "FULL", full)
    tensors = problem(T, 2, 2)
    assert torch.autograd.gradcheck(linear_scan, tensors)
    assert torch.autograd.gradgradcheck(linear_scan, tensors)


@both_ways
def test_4096_steps_in_float32_stay_finite_and_close_to_float64(full: int, monkeypatch) -> None:
    """Units that forget within a step, over the whole sequence and never: products of a from 0 to 1."""
    monkeypatch.setattr(scan, "FULL", full)
    torch.manual_seed(0)
    a = torch.tensor([0.0, 1e-30, 1e-3, 0.5, 0.999, 1.0]).expand(4096, 2, 6).clone()
    tensors = [a, torch.randn(4096, 2, 6), torch.randn(2, 6)]
    results = []
    for dtype in (torch.float32, torch.float64):
        inputs = [x.to(dtype).requires_grad_() for x in tensors]
        h = linear_scan(*inputs)
        results.append([h, *torch.autograd.grad((h * torch.cos(torch.arange(6.0))).sum(), inputs)])
    for ours, exact in zip(*results, strict=True):
        assert ours.isfinite().all()
        torch.testing.assert_close(ours.double(), exact, rtol=1e-4, atol=1e-5 * float(exact.detach().abs().max()))


@both_ways
def test_later_inputs_change_nothing_earlier(full: int, monkeypatch) -> None:
    monkeypatch.setattr(scan, "FULL", full)
    a, b, h0 = (x.detach() for x in problem(20, 2, 3))
    before = linear_scan(a, b, h0)
    a[11:], b[11:] = 0.25, float("nan")
    assert torch.equal(linear_scan(a, b, h0)[:11], before[:11])


@both_ways
def test_the_inputs_are_left_as_they_were_and_need_not_be_contiguous(full: int, monkeypatch) -> None:
    monkeypatch.setattr(scan, "FULL", full)
    a, b, h0 = (x.detach() for x in problem(9, 3, 2))
    expected = linear_scan(a, b, h0)
    strided = [x.transpose(0, 1).contiguous().transpose(0, 1) for x in (a, b)]
    copies = [x.clone() for x in strided]
    torch.testing.assert_close(linear_scan(*strided, h0), expected)
    assert all(torch.equal(x, y) for x, y in zip(strided, copies, strict=True))


def test_where_no_step_fills_a_core_there_are_two_roots_of_t_steps_in_place_of_t(monkeypatch) -> None:
    taken = []
    advance = scan._advance
    monkeypatch.setattr(scan, "_advance", lambda *args: (taken.append(len(args[-1])), advance(*args)))
    linear_scan(*problem(4096, 1, 2))
    assert sum(taken) == 63 + 64
