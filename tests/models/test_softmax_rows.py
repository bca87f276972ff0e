"""Softmax cross-entropy of rows and its gradient in their place: cross_entropy's, whatever the logits are."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from gatesweep.models import softmax_rows

pytestmark = pytest.mark.usefixtures("kernels")


def test_with_a_compiler_the_native_pass_is_what_runs() -> None:
    """Or the tests of it above would prove nothing."""
    assert isinstance(softmax_rows._kernel(torch.float32), softmax_rows._Native)
    assert isinstance(softmax_rows._kernel(torch.bfloat16), softmax_rows._Native)
    assert softmax_rows._kernel(torch.float64) is None


@given(
    C=st.integers(1, 6), V=st.integers(1, 300) | st.just(9001), scale=st.sampled_from([0.1, 3.0, 60.0]),
    smoothing=st.sampled_from([0.0, 0.3]), native=st.booleans(), seed=st.integers(0, 99),
)  # fmt: skip
@settings(max_examples=80)
def test_losses_and_gradients_are_those_of_cross_entropy(
    C: int, V: int, scale: float, smoothing: float, native: bool, seed: int
) -> None:
    """Rows of a wider matrix, which keeps what stands beside them."""
    draw = torch.Generator().manual_seed(seed)
    wide = scale * torch.randn(C, V + 9, generator=draw)
    bias_V, factor_C = torch.randn(V, generator=draw), torch.randn(C, generator=draw)
    targets_C, beside = torch.randint(0, V, (C,), generator=draw), wide[:, V:].clone()
    exact_CV = (wide[:, :V].double() + bias_V).requires_grad_()
    expected_C = F.cross_entropy(exact_CV, targets_C, label_smoothing=smoothing, reduction="none")
    (gradient_CV,) = torch.autograd.grad((expected_C * factor_C).sum(), [exact_CV])
    with pytest.MonkeyPatch.context() as patch:
        if not native:
            patch.setattr(softmax_rows, "_kernel", lambda dtype: None)
        alone_C = softmax_rows.softmax_rows(wide[:, :V].clone(), bias_V, targets_C, smoothing)
        loss_C = softmax_rows.softmax_rows(wide[:, :V], bias_V, targets_C, smoothing, factor_C)
    assert torch.equal(alone_C, loss_C)
    assert torch.equal(wide[:, V:], beside)
    torch.testing.assert_close(loss_C.double(), expected_C.detach(), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(wide[:, :V].double(), gradient_CV, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("V", [5, 8, 1000])
@pytest.mark.parametrize("poison", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_nan_and_inf_come_through_as_in_cross_entropy(path: str, V: int, poison: float, smoothing: float) -> None:
    """One row's logit of one class, through the bias of a row's own: losses and the gradients of the logits."""
    draw = torch.Generator().manual_seed(0)
    logits_NV = torch.randn(3, V, generator=draw)
    logits_NV[1, V - 1] = poison
    targets_N = torch.tensor([0, 1, V - 1])
    expected_NV = logits_NV.double().requires_grad_()
    expected_N = F.cross_entropy(expected_NV, targets_N, label_smoothing=smoothing, reduction="none")
    (gradient_NV,) = torch.autograd.grad(expected_N.sum(), [expected_NV])
    is_N = softmax_rows.softmax_rows(logits_NV, None, targets_N, smoothing, torch.ones(3))
    torch.testing.assert_close(is_N.double(), expected_N.detach(), rtol=1e-5, atol=1e-5, equal_nan=True)
    for row in (0, 2):
        torch.testing.assert_close(logits_NV[row].double(), gradient_NV[row], rtol=1e-5, atol=1e-6)
    assert is_N[1].isnan() == expected_N[1].isnan()
    assert is_N[1].isinf() == expected_N[1].isinf()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_minus_inf_logit_has_no_gradient_and_an_all_nan_row_is_nan(path: str, dtype: torch.dtype) -> None:
    """A masked class takes no part."""
    logits_NV = torch.tensor([[0.0, 1.0, -math.inf], [math.nan] * 3]).to(dtype)
    loss_N = softmax_rows.softmax_rows(logits_NV, None, torch.tensor([0, 1]), 0.0, torch.ones(2))
    assert loss_N[0] == pytest.approx(math.log(1 + math.e), rel=1e-6)
    assert logits_NV[0, 2] == 0
    assert loss_N[1].isnan()
    assert logits_NV[1].isnan().all()


def test_large_logits_lose_nothing(path: str) -> None:
    """Thousands apart, where exp alone would overflow, and equal ones, whose loss is log V."""
    logits_NV = torch.tensor([[3000.0, 0.0, -3000.0], [5000.0] * 3])
    loss_N = softmax_rows.softmax_rows(logits_NV, None, torch.tensor([2, 0]))
    assert loss_N.tolist() == pytest.approx([6000.0, math.log(3)])
