"""The chunked loss over a vocabulary: torch's own numbers, without logits for all tokens at once.

Shape suffixes: N tokens, D features, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from gatesweep.cells.compiler import NoCompiler
from gatesweep.errors import ConfigError, DataError, GatesweepError, ShapeError, UserError
from gatesweep.models import linear_cross_entropy as module
from gatesweep.models import softmax_rows
from gatesweep.models.linear_cross_entropy import linear_cross_entropy, loss_and_count

TOLERANCE = {torch.float64: 1e-12, torch.float32: 2e-5, torch.bfloat16: 2e-2}
IGNORE = -100

pytestmark = pytest.mark.usefixtures("kernels")


def _inputs(
    N: int, D: int, V: int, *, bias: bool = True, dtype: torch.dtype = torch.float32, seed: int = 0,
    ignored: float = 0.0,
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:  # fmt: skip
    """h, weight, targets, bias: leaves that want gradients."""
    draw = torch.Generator().manual_seed(seed)
    h_ND, weight_VD = torch.randn(N, D, generator=draw), torch.randn(V, D, generator=draw)
    targets_N = torch.randint(0, V, (N,), generator=draw)
    targets_N[torch.rand(N, generator=draw) < ignored] = IGNORE
    bias_V = torch.randn(V, generator=draw).to(dtype).requires_grad_() if bias else None
    return h_ND.to(dtype).requires_grad_(), weight_VD.to(dtype).requires_grad_(), targets_N, bias_V


def _torch(h_ND: Tensor, weight_VD: Tensor, targets_N: Tensor, bias_V: Tensor | None = None, **options: Any) -> Tensor:
    """The definition, in float64."""
    logits_NV = F.linear(h_ND.double(), weight_VD.double(), None if bias_V is None else bias_V.double())
    return F.cross_entropy(logits_NV, targets_N, **options)


def _gradients(loss: Tensor, inputs: tuple[Tensor | None, ...], seed: int = 0) -> list[Tensor]:
    """Of the losses, weighed at random where there are many."""
    draw = torch.Generator().manual_seed(seed)
    weights = torch.randn(loss.shape, generator=draw, dtype=torch.float64).to(loss.dtype)
    return list(torch.autograd.grad((loss * weights).sum(), [x for x in inputs if x is not None and x.requires_grad]))


def _assert_near(is_: Tensor, should: Tensor, tolerance: float) -> None:
    """Near on the scale of the whole tensor."""
    assert is_.shape == should.shape
    scale = max(1.0, should.abs().max().item()) if should.numel() else 1.0
    torch.testing.assert_close(is_.double(), should.double(), rtol=tolerance, atol=tolerance * scale)


def _assert_as_torch(inputs: tuple[Tensor, Tensor, Tensor, Tensor | None], tolerance: float, **options: Any) -> None:
    torch_options = {name: value for name, value in options.items() if name != "chunk"}
    ours, theirs = linear_cross_entropy(*inputs, **options), _torch(*inputs, **torch_options)
    _assert_near(ours, theirs, tolerance)
    for is_, should in zip(_gradients(ours, inputs), _gradients(theirs, inputs), strict=True):
        assert is_.dtype == should.dtype
        _assert_near(is_, should, tolerance)


@given(
    N=st.integers(1, 40), D=st.integers(1, 35), V=st.integers(1, 70), chunk=st.none() | st.integers(1, 45),
    dtype=st.sampled_from([torch.float32, torch.float64]), bias=st.booleans(), ignored=st.sampled_from([0.0, 0.4]),
    smoothing=st.sampled_from([0.0, 0.1, 1.0]), reduction=st.sampled_from(["mean", "sum", "none"]),
    native=st.booleans(), seed=st.integers(0, 99),
)  # fmt: skip
@settings(max_examples=150)
def test_values_and_gradients_are_those_of_linear_and_cross_entropy(
    N: int, D: int, V: int, chunk: int | None, dtype: torch.dtype, bias: bool, ignored: float, smoothing: float,
    reduction: str, native: bool, seed: int,
) -> None:  # fmt: skip
    inputs = _inputs(N, D, V, bias=bias, dtype=dtype, seed=seed, ignored=ignored)
    if not (inputs[2] != IGNORE).any():
        inputs[2][0] = 0
    with pytest.MonkeyPatch.context() as patch:
        if not native:
            patch.setattr(softmax_rows, "_kernel", lambda dtype: None)
        _assert_as_torch(
            inputs, TOLERANCE[dtype], chunk=chunk, label_smoothing=smoothing, reduction=reduction
        )


@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_a_vocabulary_of_ten_thousand_agrees_in_both_ways_through_the_rows(path: str, reduction: str) -> None:
    """Long rows: sums of many exponentials, several blocks of the kernel and a rest of a vector."""
    _assert_as_torch(
        _inputs(70, 50, 10_003), TOLERANCE[torch.float32], chunk=32, label_smoothing=0.1, reduction=reduction
    )


@given(N=st.integers(1, 30), D=st.integers(1, 20), V=st.integers(2, 40), chunk=st.integers(1, 30))
@example(N=17, D=16, V=33, chunk=5)
@settings(max_examples=40)
def test_strided_inputs_give_the_same_as_contiguous_ones(N: int, D: int, V: int, chunk: int) -> None:
    h_ND, weight_VD, targets_N, bias_V = _inputs(N, D, V)
    assert bias_V is not None
    strided = (
        h_ND.detach().t().contiguous().t().requires_grad_(),
        weight_VD.detach().repeat_interleave(2, dim=1)[:, ::2].requires_grad_(),
        targets_N.repeat_interleave(3)[::3],
        bias_V.detach().repeat_interleave(2)[::2].requires_grad_(),
    )
    _assert_as_torch(strided, TOLERANCE[torch.float32], chunk=chunk)
    _assert_as_torch((h_ND.detach()[:1].expand(N, D).requires_grad_(), *strided[1:]), TOLERANCE[torch.float32])


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("D", [7, 16])
def test_gradcheck_in_float64(reduction: str, D: int) -> None:
    """Numerically; and as gradcheck runs backward again on a retained graph, the second is bitwise the first."""
    h_ND, weight_VD, targets_N, bias_V = _inputs(9, D, 11, dtype=torch.float64, ignored=0.3)

    def loss(h_ND: Tensor, weight_VD: Tensor, bias_V: Tensor) -> Tensor:
        return linear_cross_entropy(
            h_ND, weight_VD, targets_N, bias_V, label_smoothing=0.2, reduction=reduction, chunk=4  # type: ignore[arg-type]
        )

    assert torch.autograd.gradcheck(loss, (h_ND, weight_VD, bias_V))


@pytest.mark.parametrize("frozen", [0, 1, 3])
def test_only_the_gradients_that_are_wanted_are_computed(frozen: int) -> None:
    inputs = _inputs(20, 10, 30)
    fixed = inputs[frozen]
    assert fixed is not None
    fixed.requires_grad_(False)
    _assert_as_torch(inputs, TOLERANCE[torch.float32], chunk=6)


@pytest.mark.parametrize("instructions", ["avx2", "avx512_bf16"])
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_bfloat16_inputs_agree_to_their_precision_and_the_loss_is_float32(
    path: str, instructions: str, reduction: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the products run in float32 or, where the processor has instructions for it, in bfloat16."""
    monkeypatch.setattr(module, "processor", lambda: instructions)
    inputs = _inputs(60, 24, 300, dtype=torch.bfloat16, ignored=0.2)
    assert linear_cross_entropy(*inputs).dtype == torch.float32
    _assert_as_torch(inputs, TOLERANCE[torch.bfloat16], chunk=25, reduction=reduction)


@pytest.mark.parametrize("instructions", ["avx2", "avx512_bf16"])
def test_autocast_leaves_parameters_loss_and_weight_gradients_in_float32(
    path: str, instructions: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hidden states come in bfloat16, as a layer under autocast makes them."""
    monkeypatch.setattr(module, "processor", lambda: instructions)
    h_ND, weight_VD, targets_N, bias_V = _inputs(60, 24, 300)
    h_ND = h_ND.detach().bfloat16().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        loss = linear_cross_entropy(h_ND, weight_VD, targets_N, bias_V, chunk=25)
    assert loss.dtype == torch.float32
    gradients = torch.autograd.grad(loss, [h_ND, weight_VD, bias_V])
    assert [x.dtype for x in gradients] == [torch.bfloat16, torch.float32, torch.float32]
    expected = _torch(h_ND, weight_VD, targets_N, bias_V)
    _assert_near(loss, expected, TOLERANCE[torch.bfloat16])
    for is_, should in zip(gradients, torch.autograd.grad(expected, [h_ND, weight_VD, bias_V]), strict=True):
        relative = (is_.double() - should.double()).norm() / should.double().norm()
        assert relative < TOLERANCE[torch.bfloat16]


def test_a_weight_gradient_in_bfloat16_is_as_near_to_the_truth_in_64_chunks_as_in_one() -> None:
    """Summed in float32: a processor with bfloat16 products rounds dz and each chunk's product, not the sum."""
    inputs = _inputs(256, 16, 20, dtype=torch.bfloat16)
    h_ND, weight_VD, targets_N, bias_V = inputs
    exact_VD = weight_VD.detach().double().requires_grad_()
    (should,) = torch.autograd.grad(_torch(h_ND, exact_VD, targets_N, bias_V, reduction="sum"), [exact_VD])

    def error(chunk: int) -> float:
        (is_,) = torch.autograd.grad(linear_cross_entropy(*inputs, reduction="sum", chunk=chunk), [weight_VD])
        return float((is_.double() - should).abs().mean())

    sum_VD = torch.zeros(20, 16, dtype=torch.bfloat16)
    for rows in range(0, 256, 4):
        part = [x[rows : rows + 4] for x in (h_ND, targets_N)]
        (chunk_VD,) = torch.autograd.grad(_torch(part[0], exact_VD, part[1], bias_V, reduction="sum"), [exact_VD])
        sum_VD += chunk_VD.to(torch.bfloat16)
    summed_in_bfloat16 = float((sum_VD.double() - should).abs().mean())
    assert error(4) <= 1.25 * error(256)
    assert error(4) < summed_in_bfloat16 / 2


class _Largest(TorchDispatchMode):
    """The most elements that any storage had that an operation made or touched."""

    numel = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for x in tree_leaves((result, args, kwargs)):
            if isinstance(x, Tensor):
                self.numel = max(self.numel, x.untyped_storage().nbytes() // x.element_size())
        return result


def _largest(step: Callable[[], Any]) -> int:
    with _Largest() as mode:
        step()
    return mode.numel


@pytest.mark.parametrize("reduction", ["mean", "none"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_no_tensor_ever_holds_the_logits_of_all_tokens(path: str, reduction: str, dtype: torch.dtype) -> None:
    """Neither values nor gradients, forward or backward, a second backward included."""
    N, D, V = 1200, 6, 20_000
    inputs = _inputs(N, D, V, dtype=dtype)

    def step() -> None:
        loss = linear_cross_entropy(*inputs, reduction=reduction, label_smoothing=0.1).sum()  # type: ignore[arg-type]
        loss.backward(retain_graph=True)
        loss.backward()

    assert _largest(step) <= N * V // 4
    assert _largest(lambda: F.cross_entropy(F.linear(inputs[0], inputs[1]), inputs[2]).backward()) == N * V


def test_without_gradients_the_forward_pass_alone_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither factors for the gradients of the logits nor a gradient of W."""
    asked = []
    rows = softmax_rows.softmax_rows
    monkeypatch.setattr(
        "gatesweep.models.logit_chunks.softmax_rows", lambda *given: asked.append(given[4]) or rows(*given)
    )
    inputs = _inputs(50, 8, 30)
    with torch.no_grad():
        loss = linear_cross_entropy(*inputs, chunk=20)
    assert asked == [None, None, None]
    assert not loss.requires_grad
    _assert_near(loss, _torch(*inputs), TOLERANCE[torch.float32])


def test_loss_and_count_of_batches_give_the_perplexity_of_all_tokens() -> None:
    h_ND, weight_VD, targets_N, bias_V = _inputs(90, 8, 30, ignored=0.3)
    batches = [loss_and_count(h_ND[k : k + 25], weight_VD, targets_N[k : k + 25], bias_V) for k in range(0, 90, 25)]
    total, count = sum(loss.item() for loss, _ in batches), sum(count for _, count in batches)
    assert count == int((targets_N != IGNORE).sum())
    assert math.exp(total / count) == pytest.approx(_torch(h_ND, weight_VD, targets_N, bias_V).exp().item(), rel=1e-5)


def test_no_work_is_done_on_ignored_tokens(path: str) -> None:
    """Not even a NaN in their hidden states is read."""
    h_ND, weight_VD, targets_N, bias_V = _inputs(30, 8, 40, ignored=0.5)
    ignored_N = targets_N == IGNORE
    poisoned_ND = h_ND.detach().clone()
    poisoned_ND[ignored_N] = math.nan
    poisoned_ND.requires_grad_()
    loss = linear_cross_entropy(poisoned_ND, weight_VD, targets_N, bias_V, reduction="none")
    dh_ND, dweight_VD = torch.autograd.grad(loss.sum(), [poisoned_ND, weight_VD])
    assert (loss[ignored_N] == 0).all()
    assert (dh_ND[ignored_N] == 0).all()
    assert dweight_VD.isfinite().all()


def test_no_token_at_all_is_a_nan_mean_a_zero_sum_and_no_gradient() -> None:
    """As cross_entropy has it."""
    h_ND, weight_VD, targets_N, bias_V = _inputs(5, 8, 40)
    for kept in (slice(0, 5), slice(0, 0)):
        ignored_N = torch.full_like(targets_N, IGNORE)[kept]
        mean = linear_cross_entropy(h_ND[kept], weight_VD, ignored_N, bias_V)
        assert mean.isnan()
        assert linear_cross_entropy(h_ND[kept], weight_VD, ignored_N, bias_V, reduction="sum") == 0
        assert linear_cross_entropy(h_ND[kept], weight_VD, ignored_N, bias_V, reduction="none").tolist() == [0] * len(
            ignored_N
        )
        assert all((x == 0).all() for x in torch.autograd.grad(mean, [h_ND, weight_VD, bias_V]))


def test_the_same_call_gives_the_same_bits_whatever_the_number_of_threads_of_the_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The rows are shared out among threads; the products are torch's, on one thread here."""
    inputs = _inputs(300, 24, 3_000)

    def step() -> list[Tensor]:
        loss = linear_cross_entropy(*inputs, chunk=128)
        return [loss.detach(), *torch.autograd.grad(loss, [inputs[0], inputs[1], inputs[3]])]

    first = step()
    for threads in (1, 3):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        assert all(torch.equal(a, b) for a, b in zip(first, step(), strict=True))


def test_a_retained_graph_gives_the_same_gradients_again_even_after_the_first_were_changed() -> None:
    h_ND, weight_VD, targets_N, bias_V = _inputs(50, 10, 40)
    loss = linear_cross_entropy(h_ND, weight_VD, targets_N, bias_V, chunk=20)
    first = torch.autograd.grad(loss, [h_ND, weight_VD, bias_V], retain_graph=True)
    kept = [x.clone() for x in first]
    for x in first:
        x.zero_()
    again = torch.autograd.grad(loss, [h_ND, weight_VD, bias_V])
    assert all(torch.equal(a, b) for a, b in zip(kept, again, strict=True))
    with pytest.raises(RuntimeError, match="a second time"):
        loss.backward()


@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_a_graph_of_the_gradients_is_refused_in_words(reduction: str) -> None:
    h_ND, *rest = _inputs(5, 4, 6)
    loss = linear_cross_entropy(h_ND, *rest, reduction=reduction).sum()  # type: ignore[arg-type]
    with pytest.raises(UserError, match="create_graph"):
        torch.autograd.grad(loss, [h_ND], create_graph=True)


def test_tied_weights_collect_the_gradients_of_both_their_uses() -> None:
    """As an embedding and as the output layer."""
    _, weight_VD, targets_N, bias_V = _inputs(40, 12, 30)
    tokens_N = torch.arange(40) % 30
    ours = linear_cross_entropy(F.embedding(tokens_N, weight_VD), weight_VD, targets_N, bias_V, chunk=16)
    theirs = _torch(F.embedding(tokens_N, weight_VD), weight_VD, targets_N, bias_V)
    _assert_near(_gradients(ours, (weight_VD,))[0], _gradients(theirs, (weight_VD,))[0], TOLERANCE[torch.float32])


def test_without_a_compiler_the_loss_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(source: str, name: str) -> Any:
        raise NoCompiler("none of cc, gcc, clang is on the PATH")

    monkeypatch.setattr(softmax_rows, "library", none)
    softmax_rows._kernel.cache_clear()
    try:
        assert softmax_rows._kernel(torch.float32) is None
        _assert_as_torch(_inputs(30, 8, 50), TOLERANCE[torch.float32], chunk=7)
    finally:
        softmax_rows._kernel.cache_clear()


def _with(**changed: Any) -> dict[str, Any]:
    h_ND, weight_VD, targets_N, bias_V = _inputs(5, 4, 6)
    return {"h_ND": h_ND, "weight_VD": weight_VD, "targets_N": targets_N, "bias_V": bias_V, **changed}


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        (_with(targets_N=torch.tensor([0, 1, 6, 2, 3])), DataError, r"targets\[2\]: target 6 is outside .* of 6"),
        (_with(targets_N=torch.tensor([0, 1, 2, 3, -1])), DataError, r"targets\[4\]: target -1"),
        (_with(targets_N=torch.zeros(4, dtype=torch.int64)), ShapeError, r"targets.*\[4\].*do not fit"),
        (_with(targets_N=torch.zeros(5)), ShapeError, "targets in torch.float32"),
        (_with(weight_VD=torch.zeros(6, 3)), ShapeError, r"weight.*\[6, 3\]"),
        (_with(weight_VD=torch.zeros(0, 4)), ShapeError, r"weight.*\[0, 4\]"),
        (_with(bias_V=torch.zeros(5)), ShapeError, r"bias.*\[5\]"),
        (_with(h_ND=torch.zeros(5, 4, 1)), ShapeError, r"h.*\[5, 4, 1\]"),
        (_with(h_ND=torch.zeros(5, 4, dtype=torch.bfloat16)), ShapeError, "bfloat16"),
        (_with(h_ND=torch.zeros(5, 4, dtype=torch.int64)), ShapeError, "int64"),
        (_with(label_smoothing=1.5), ConfigError, "1.5"),
        (_with(reduction="avg"), ConfigError, "'avg'"),
        (_with(chunk=0), ConfigError, "chunk 0"),
    ],
)
def test_what_does_not_fit_is_said(given: dict[str, Any], error: type[GatesweepError], says: str) -> None:
    with pytest.raises(error, match=says):
        linear_cross_entropy(**given)
