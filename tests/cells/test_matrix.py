"""The matrix memory: the loop against the paper's equations without their stabiliser, the chunks against the loop."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gatesweep.cells.chunkwise import chunkwise
from gatesweep.cells.matrix import Memory, Projected, project, sequential

Run = Callable[..., tuple[Tensor, Memory]]
both_forms = pytest.mark.parametrize("form", [sequential, chunkwise])


def problem(T: int, B: int, N: int, E: int, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    """q, k, v, log i, the forget gate's pre-activation, C, n and m, all wanting gradients."""
    torch.manual_seed(T + 10 * B + 100 * N + 1000 * E)
    gates = [torch.randn(T, B, N, E, dtype=dtype) for _ in range(3)]
    gates += [2 * torch.randn(T, B, N, dtype=dtype), 1 + 2 * torch.randn(T, B, N, dtype=dtype)]
    memory = [torch.randn(B, N, E, E, dtype=dtype), torch.randn(B, N, E, dtype=dtype), torch.randn(B, N, dtype=dtype)]
    return [tensor.requires_grad_() for tensor in gates + memory]


def run(form: Run, tensors: list[Tensor], **options: object) -> tuple[Tensor, ...]:
    q, k, v, log_i, f = tensors[:5]
    inputs = Projected(q, k, v, log_i, torch.nn.functional.logsigmoid(f))
    read, memory = form(inputs, Memory(*tensors[5:]), **options)
    return read, *memory


def gradients(outputs: tuple[Tensor, ...], tensors: list[Tensor]) -> tuple[Tensor, ...]:
    loss = sum((y * torch.linspace(-1, 2, y.numel(), dtype=y.dtype).view_as(y)).sum() for y in outputs)
    return torch.autograd.grad(loss, tensors, materialize_grads=True)


def unstabilised(x_TD: np.ndarray, w: dict[str, np.ndarray], b: dict[str, np.ndarray], N: int) -> np.ndarray:
    """Equations 19-27 of the paper for one sequence, as printed: exp(a_i) itself, and 1 in the denominator."""
    H = len(w["q"])
    E = H // N
    C, n, output = np.zeros((N, E, E)), np.zeros((N, E)), []
    for x in x_TD:
        a = {gate: w[gate] @ x + b[gate] for gate in w}
        q, k, v = a["q"].reshape(N, E), a["k"].reshape(N, E) / np.sqrt(E), a["v"].reshape(N, E)
        i, f, o = np.exp(a["i"]), 1 / (1 + np.exp(-a["f"])), 1 / (1 + np.exp(-a["o"]))
        heads = []
        for head in range(N):
            C[head] = f[head] * C[head] + i[head] * np.outer(v[head], k[head])
            n[head] = f[head] * n[head] + i[head] * k[head]
            heads.append(C[head] @ q[head] / max(abs(n[head] @ q[head]), 1.0))
        output.append(o * np.concatenate(heads))
    return np.stack(output)


@both_forms
@pytest.mark.parametrize(("T", "D", "N", "E"), [(9, 3, 2, 3), (1, 2, 1, 1), (150, 4, 3, 2)])
def test_the_output_is_that_of_the_papers_equations_without_a_stabiliser(form: Run, T, D, N, E) -> None:
    torch.manual_seed(T)
    H = N * E
    sizes = {"q": H, "k": H, "v": H, "i": N, "f": N, "o": H}
    w = {gate: torch.randn(rows, D, dtype=torch.float64) for gate, rows in sizes.items()}
    b = {gate: torch.randn(rows, dtype=torch.float64) for gate, rows in sizes.items()}
    x = torch.randn(T, 1, D, dtype=torch.float64)
    inputs, o = project(x, torch.cat([*w.values()]), torch.cat([*b.values()]), N)
    zero = Memory(*(torch.zeros(1, N, *size, dtype=torch.float64) for size in ((E, E), (E,), ())))
    read, _ = form(inputs, zero)
    expected = unstabilised(x[:, 0].numpy(), *({gate: t.numpy() for gate, t in part.items()} for part in (w, b)), N)
    np.testing.assert_allclose((o * read.flatten(2))[:, 0].numpy(), expected, rtol=1e-9, atol=1e-11)


@settings(max_examples=100)
@given(sizes=st.tuples(st.integers(1, 12), *[st.integers(1, 4)] * 3), chunk=st.integers(1, 13), data=st.data())
def test_chunks_equal_the_loop_whatever_the_sizes_lengths_and_chunk(sizes, chunk: int, data) -> None:
    T, B, N, E = sizes
    lengths = data.draw(st.none() | st.lists(st.integers(1, T), min_size=B, max_size=B))
    lengths_B = None if lengths is None else torch.tensor(lengths)
    tensors = problem(T, B, N, E)
    ours = run(chunkwise, tensors, lengths_B=lengths_B, chunk=chunk)
    theirs = run(sequential, tensors, lengths_B=lengths_B)
    for a, b in zip((*ours, *gradients(ours, tensors)), (*theirs, *gradients(theirs, tensors)), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-9 * (1 + float(b.detach().abs().max())))


@both_forms
def test_first_and_second_derivatives_are_those_of_finite_differences(form: Run) -> None:
    tensors = problem(T=3, B=1, N=1, E=2)
    options = {} if form is sequential else {"chunk": 2}
    assert torch.autograd.gradcheck(lambda *args: run(form, list(args), **options), tensors)
    assert torch.autograd.gradgradcheck(lambda *args: run(form, list(args), **options)[0], tensors)


@both_forms
def test_a_sequence_cut_in_two_and_carried_on_is_the_whole_sequence_with_its_gradients(form: Run) -> None:
    tensors = problem(T=11, B=2, N=2, E=3)
    whole = run(form, tensors)
    first = run(form, [x[:4] for x in tensors[:5]] + tensors[5:])
    second = run(form, [x[4:] for x in tensors[:5]] + list(first[1:]))
    cut = (torch.cat([first[0], second[0]]), *second[1:])
    for a, b in zip((*cut, *gradients(cut, tensors)), (*whole, *gradients(whole, tensors)), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-10)


@both_forms
def test_each_sequence_of_a_batch_comes_out_as_if_it_were_alone(form: Run) -> None:
    tensors = [x.detach() for x in problem(T=7, B=3, N=2, E=2)]
    lengths = [3, 7, 1]
    read, *memory = run(form, tensors, lengths_B=torch.tensor(lengths))
    for b, length in enumerate(lengths):
        one = [x[:length, b : b + 1] for x in tensors[:5]] + [x[b : b + 1] for x in tensors[5:]]
        alone, *last = run(form, one)
        torch.testing.assert_close(read[:length, b : b + 1], alone)
        assert not read[length:, b].any()
        for s, s_alone in zip(memory, last, strict=True):
            torch.testing.assert_close(s[b : b + 1], s_alone)


@both_forms
def test_later_inputs_change_nothing_earlier(form: Run) -> None:
    tensors = [x.detach() for x in problem(T=20, B=2, N=2, E=2)]
    options = {} if form is sequential else {"chunk": 8}
    before = run(form, tensors, **options)[0]
    for x in tensors[:5]:
        x[11:] = 30.0  # an input gate of e^30
    assert torch.equal(run(form, tensors, **options)[0][:11], before[:11])


def test_the_output_does_not_depend_on_how_the_memory_is_scaled() -> None:
    """C, n and m stand for e^m C and e^m n: the same memory, written with another m, reads the same."""
    tensors = [x.detach() for x in problem(T=6, B=2, N=2, E=2)]
    C, n, m = tensors[5:]
    rescaled = [*tensors[:5], C * torch.e, n * torch.e, m - 1]
    for form in (sequential, chunkwise):
        torch.testing.assert_close(run(form, rescaled)[0], run(form, tensors)[0])


def test_4096_steps_of_chunks_in_float32_stay_finite_and_close_to_the_loop_in_float64() -> None:
    """The first head has usual gates, the second input gates from e^-80 to e^80 and forget gates as extreme."""
    torch.manual_seed(3)
    T, B, N, E = 4096, 1, 2, 4
    inputs, scale_N = [torch.randn(T, B, N, E) for _ in range(3)], torch.tensor([1.0, 20.0])
    inputs += [scale_N * torch.randn(T, B, N), scale_N * (3 + torch.randn(T, B, N))]
    # a query that stands almost at a right angle to n divides by almost nothing: keep every one on n's side
    inputs[0], inputs[1] = inputs[0].abs(), inputs[1].abs()
    inputs += [torch.zeros(B, N, E, E), torch.zeros(B, N, E), torch.zeros(B, N)]
    results = []
    for form, dtype in ((chunkwise, torch.float32), (sequential, torch.float64)):
        tensors = [x.to(dtype).requires_grad_() for x in inputs]
        read = run(form, tensors)[0]
        results.append([read, *torch.autograd.grad(read.square().sum(), tensors[:5])])
    for ours, exact in zip(*results, strict=True):
        assert ours.isfinite().all()
        torch.testing.assert_close(ours.double(), exact, rtol=1e-3, atol=2e-5 * float(exact.detach().abs().max()))


@both_forms
def test_an_input_gate_that_underflows_the_floor_gives_zeros_not_nans(form: Run) -> None:
    """e^(-m) is 0 in float32 at m = 200, and so is nᵀ q for a query of zeros."""
    tensors = [x.detach().float() for x in problem(T=3, B=1, N=1, E=2)]
    tensors[0] = torch.zeros_like(tensors[0])
    tensors[3] = torch.full_like(tensors[3], 200.0)
    tensors = [x.requires_grad_() for x in tensors]
    read = run(form, tensors)[0]
    assert not read.any()
    assert all(g.isfinite().all() for g in torch.autograd.grad(read.sum(), tensors[:5]))


def test_the_chunks_work_and_memory_grow_with_time_not_with_its_square() -> None:
    """Bytes kept for backward: twice the steps, twice the bytes."""
    kept = []
    for T in (256, 512):
        size = 0

        def count(x: Tensor) -> Tensor:
            nonlocal size
            size += x.numel() * x.element_size()
            return x

        tensors = problem(T, 1, 1, 4)
        with torch.autograd.graph.saved_tensors_hooks(count, lambda x: x):
            run(chunkwise, tensors)
        kept.append(size)
    assert kept[1] / kept[0] == pytest.approx(2, rel=0.02)
