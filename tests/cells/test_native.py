"""The compiled loops against the reference, which defines them; their functions against numpy's; and what they promise
beside values: the same bits every time, no neighbour's influence, no side effects, clear refusals."""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from cell_problems import gradients, problem
from hypothesis import given, settings
from hypothesis import strategies as st

from gatesweep.cells import reference
from gatesweep.cells.compiler import library
from gatesweep.cells.description import Cell, Values, exp, log, maximum, norm, sigmoid, tanh
from gatesweep.cells.native.kernel import Kind, describable, fits, kernel, source
from gatesweep.cells.native.unroll import unroll
from gatesweep.cells.options import cell_norm, clip, recurrent_dropout, zoneout
from gatesweep.cells.variants import CELLS, GRU, GRU_BEFORE, PEEPHOLE, find


def _everything(g: Values, s: Values, p: Values) -> Values:
    """Every operation, two sources, a mask, a state that no step reads, one that passes unchanged, a peephole on z."""
    i, z = sigmoid(g["i"]), tanh(g["z"] + p["z"] * s["c"])
    c = maximum(s["c"] - i * (s["c"] - z), -0.2) / (1.0 + i * i) * p["mask.c"]
    return {"h": tanh(c) * i - 0.5, "c": c + log(1 + exp(0 - g["i"])), "q": i, "k": s["k"] * 1.0}


EVERYTHING = Cell("everything", gates=("i", "z"), states=("h", "c", "q", "k"), step=_everything, peepholes=("z",),
                  sources=("h", "q"), masks=("c",))


def _two_products(g: Values, s: Values, p: Values) -> Values:
    r = sigmoid(g["r"] + p["u"] * s["k"])
    return {"n": r * s["h"] * p["mask.m"], "o": tanh(g["q"]) - s["k"]}


def _after_two_products(g: Values, s: Values, p: Values) -> Values:
    r, n = sigmoid(g["r"] + p["u"] * s["k"]), tanh(g["n"] + sigmoid(g["a"]) * g["a_recurrent"])
    return {"h": n + r * (s["h"] - n), "k": sigmoid(g["o"]) * s["k"] + g["q"]}


TWO_PRODUCTS = Cell("two_products", gates=("n", "r", "a", "o", "q"), states=("h", "k"), step=_after_two_products,
                    inner=_two_products, apart=("a",), vectors=("u",), masks=("m",))
# Cells, and options of the loop: what `weights.shapes` takes.
PLAIN = [(cell, {}) for cell in (*CELLS.values(), find("cifg", False), EVERYTHING, TWO_PRODUCTS)]
OPTIONS = [
    (find("peephole"), {"norm": True}),
    (find("gru"), {"norm": True}),
    (find("fgr"), {"norm": True}),
    (find("vanilla"), {"projection": 3}),
    (find("peephole"), {"projection": 3, "norm": True}),
    (find("slstm"), {"heads": 2}),
    (cell_norm(find("peephole")), {}),
    (clip(cell_norm(find("cifg")), 0.3), {"norm": True}),
    (zoneout(find("peephole"), ("h", "c")), {}),
    (zoneout(recurrent_dropout(find("gru_before"), "candidate"), ("h",)), {"heads": 2}),
]
ALL = PLAIN + OPTIONS

each_kind = pytest.mark.parametrize(
    ("cell", "options"), ALL, ids=lambda x: x.name if isinstance(x, Cell) else "+".join(x)
)


@each_kind
def test_gradients_pass_gradcheck_in_float64(cell: Cell, options: dict) -> None:
    given = problem(cell, T=3, B=2, D=2, H=6, **options)
    assert torch.autograd.gradcheck(lambda *tensors: given.run(unroll, tensors), given.tensors, fast_mode=True)


@settings(max_examples=150)
@given(kind=st.sampled_from(ALL), T=st.integers(1, 7), B=st.integers(1, 15), D=st.integers(1, 5), H=st.integers(2, 18),
       data=st.data())
def test_the_native_loops_equal_the_reference_whatever_the_sizes_and_lengths(kind, T, B, D, H, data) -> None:
    lengths = data.draw(st.none() | st.lists(st.integers(1, T), min_size=B, max_size=B))
    lengths_B = None if lengths is None else torch.tensor(lengths)
    given = problem(kind[0], T, B, D, 2 * H, **kind[1])
    ours, theirs = (given.run(loop, lengths_B=lengths_B) for loop in (unroll, reference.unroll))
    got, expected = (gradients(outputs, given.tensors) for outputs in (ours, theirs))
    for a, b in zip((*ours, *got), (*theirs, *expected), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-9)


@each_kind
def test_float32_differs_from_float64_by_rounding_alone(cell: Cell, options: dict) -> None:
    exact = problem(cell, T=40, B=5, D=3, H=24, **options)
    for state in exact.tensors[1 + len(exact.names) :][2:]:  # a normaliser near 0 would blow every rounding up
        state.detach().abs_().add_(1)
    rounded = [tensor.detach().float().requires_grad_() for tensor in exact.tensors]
    got, expected = exact.run(unroll, rounded), exact.run(reference.unroll)
    for a, b in zip((*got, *gradients(got, rounded)), (*expected, *gradients(expected, exact.tensors)), strict=True):
        size = float(torch.linalg.vector_norm(b.detach()))
        torch.testing.assert_close(a.double(), b, rtol=2e-4, atol=2e-5 * (1 + size))


@each_kind
def test_inputs_states_and_output_gradients_need_not_be_contiguous(cell: Cell, options: dict) -> None:
    given = problem(cell, T=4, B=3, D=2, H=16, **options)
    strided = [
        x.detach().transpose(0, 1).contiguous().transpose(0, 1).requires_grad_() if x.dim() > 1 else x
        for x in given.tensors
    ]
    for a, b in zip(gradients(given.run(unroll, strided), strided), gradients(given.run(unroll), given.tensors),
                    strict=True):
        torch.testing.assert_close(a, b)
    h_TBO = given.run(unroll)[0]
    one = torch.ones(1, 1, 1, dtype=h_TBO.dtype).expand_as(h_TBO)
    (expanded,) = torch.autograd.grad(h_TBO, given.tensors[:1], one)
    torch.testing.assert_close(expanded, torch.autograd.grad(given.run(unroll)[0].sum(), given.tensors[:1])[0])


@contextlib.contextmanager
def _threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("cell", "options"), [
    (PEEPHOLE, {}), (PEEPHOLE, {"norm": True, "projection": 8}), (GRU_BEFORE, {}),
])  # fmt: skip
def test_the_same_numbers_come_out_every_time_bit_by_bit(threads: int, cell: Cell, options: dict) -> None:
    with _threads(threads):
        results = []
        for _ in range(5):
            given = problem(cell, T=20, B=9, D=4, H=40, dtype=torch.float32, **options)
            outputs = given.run(unroll)
            results.append((*outputs, *gradients(outputs, given.tensors)))
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


@pytest.mark.parametrize("cell", [PEEPHOLE, GRU_BEFORE], ids=lambda cell: cell.name)
def test_a_sequences_values_depend_neither_on_its_neighbours_nor_on_the_threads(cell: Cell) -> None:
    given = problem(cell, T=6, B=11, D=3, H=20, dtype=torch.float32)
    all_TBH = given.run(unroll)[0]
    with _threads(2):
        assert torch.equal(given.run(unroll)[0], all_TBH)
    x, *parameters = given.tensors[: 1 + len(given.names)]
    few = given.run(unroll, [x[:, 3:5], *parameters, *(s_BH[3:5] for s_BH in given.tensors[1 + len(given.names) :])])
    torch.testing.assert_close(few[0], all_TBH[:, 3:5], rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_nan_stays_visible_in_its_own_sequence_and_harms_no_other(dtype: torch.dtype) -> None:
    given = problem(PEEPHOLE, T=3, B=2, D=2, H=18, dtype=dtype)
    with torch.no_grad():
        given.tensors[0][1, 0, 0] = float("nan")
    h_TBH = given.run(unroll)[0]
    assert h_TBH[1:, 0].isnan().all()
    assert not h_TBH[:, 1].isnan().any()


@pytest.mark.parametrize(("cell", "options"), [
    (PEEPHOLE, {}), (PEEPHOLE, {"norm": True}), (PEEPHOLE, {"projection": 2}), (GRU_BEFORE, {}),
])  # fmt: skip
@pytest.mark.parametrize("lengths_B", [None, torch.tensor([4, 1, 2])])
def test_a_retained_graph_gives_the_same_gradient_every_time(
    cell: Cell, options: dict, lengths_B: torch.Tensor | None
) -> None:
    given = problem(cell, T=4, B=3, D=2, H=9, **options)
    loss = given.run(unroll, lengths_B=lengths_B)[0].square().sum()
    once, twice, thrice = (
        torch.autograd.grad(loss, given.tensors, retain_graph=True, materialize_grads=True) for _ in range(3)
    )
    assert all(torch.equal(a, b) and torch.equal(a, c) for a, b, c in zip(once, twice, thrice, strict=True))


def test_a_derivative_of_the_derivative_is_refused() -> None:
    given = problem(GRU, T=2, B=1, D=1, H=1)
    (dx,) = torch.autograd.grad(given.run(unroll)[0].square().sum(), given.tensors[:1], create_graph=True)
    with pytest.raises(RuntimeError, match="differentiate twice"):
        dx.sum().backward()


def test_writing_over_an_output_before_backward_is_noticed() -> None:
    given = problem(GRU, T=2, B=1, D=1, H=8)
    h_TBH = given.run(unroll)[0]
    loss = h_TBH.sum()
    with torch.no_grad():
        h_TBH.zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def _in_a_child(results) -> None:
    torch.set_num_threads(2)
    results.put(problem(PEEPHOLE, T=3, B=9, D=2, H=8).run(unroll)[0].sum().item())


def test_a_forked_process_has_threads_of_its_own() -> None:
    with _threads(2):
        ours = problem(PEEPHOLE, T=3, B=9, D=2, H=8).run(unroll)[0].sum().item()
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    child = context.Process(target=_in_a_child, args=(results,))
    child.start()
    assert results.get(timeout=60) == ours
    child.join(timeout=60)
    assert child.exitcode == 0


FUNCTIONS = """
void apply(long f, long n, const real *x, real *y) {
  for (long j = 0; j < n; j += LANES) {
    vec v = load(x + j);
    store(y + j, f == 0 ? exponential(v) : f == 1 ? sigmoid(v) : f == 2 ? tanhyp(v) : logarithm(v));
  }
}
"""
EXACT = {
    "exp": np.exp,
    "sigmoid": lambda x: np.where(x >= 0, 1 / (1 + np.exp(-np.abs(x))), np.exp(-np.abs(x)) / (1 + np.exp(-np.abs(x)))),
    "tanh": np.tanh,
    "log": np.log,
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", EXACT)
def test_each_function_is_numpys_to_a_few_rounding_steps(name: str, dtype: type) -> None:
    compiled = library(source(Kind(PEEPHOLE, torch.from_numpy(np.empty(0, dtype)).dtype)) + FUNCTIONS, "functions")
    rng, smallest = np.random.default_rng(1), np.finfo(dtype).tiny
    x = np.concatenate([rng.normal(0, scale, 4096) for scale in (1e-6, 1e-3, 1, 10, 40)]).astype(dtype)
    special = np.array([0, -0.0, np.inf, -np.inf, np.nan, smallest, 1, -1, 88.5, -87, 128, -128], dtype=dtype)
    x = np.concatenate([x, special, np.ones(-(len(x) + len(special)) % 64, dtype)])
    x = np.abs(x) if name == "log" else x
    y = np.empty_like(x)
    compiled.apply(ctypes.c_long(list(EXACT).index(name)), ctypes.c_long(len(x)), ctypes.c_void_p(x.ctypes.data),
                   ctypes.c_void_p(y.ctypes.data))
    with np.errstate(all="ignore"):
        want = EXACT[name](x.astype(np.float64 if dtype is np.float32 else np.longdouble))
        np.testing.assert_array_equal(np.isnan(y), np.isnan(want))
        normal = np.isnan(want) | (np.abs(want) >= smallest)
        np.testing.assert_allclose(y[normal], want.astype(dtype)[normal], rtol=6 * np.finfo(dtype).eps, atol=0)
        assert np.all(np.abs(y[~normal] - want[~normal]) <= smallest)


def test_no_loop_changes_how_the_process_rounds_small_numbers() -> None:
    problem(PEEPHOLE, T=2, B=2, D=2, H=8, dtype=torch.float32).run(unroll)
    smallest = np.finfo(np.float32).tiny
    assert np.float32(smallest) / np.float32(4) > 0


@pytest.mark.parametrize("changes", [
    {"inner": lambda g, s, p: {"n": norm(g["r"])}},
    {"step": lambda g, s, p: {"h": norm(g["n"])}},
    {"inner": lambda g, s, p: {"n": g["n"] * s["h"]}},
    {"inner": lambda g, s, p: {"n": g["r"], "z": g["n"]}},
    {"apart": ("n",)},
    {"sources": ()},
], ids=("a norm before it", "a norm after it", "of itself", "of another", "apart", "no source"))  # fmt: skip
def test_an_inner_product_that_the_loops_cannot_run_is_refused(changes: dict) -> None:
    cell = replace(GRU_BEFORE, **changes)
    assert not describable(cell)
    given = problem(GRU_BEFORE, T=1, B=1, D=1, H=2)
    with pytest.raises(ValueError, match="unit by unit"):
        unroll(cell, given.tensors[0], (given.tensors[-1],), given.weights())


@pytest.mark.parametrize("option", ["normed", "projected"])
def test_an_inner_product_of_normalised_or_projected_states_is_refused(option: str) -> None:
    given, gain = problem(GRU_BEFORE, T=1, B=1, D=1, H=2), torch.ones(6, dtype=torch.float64)
    weights = given.weights()
    changed = {
        "normed": weights._replace(input_gain_K=gain, recurrent_gain_K=gain),
        "projected": weights._replace(projection_PH=gain.view(1, 6)[:, :2]),
    }
    assert fits(GRU_BEFORE, normed=False, projected=False)
    with pytest.raises(ValueError, match="unit by unit"):
        unroll(GRU_BEFORE, given.tensors[0], (given.tensors[-1],), changed[option])


def test_compiled_loops_are_made_once_a_process() -> None:
    assert kernel(Kind(PEEPHOLE, torch.float32)) is kernel(Kind(PEEPHOLE, torch.float32))
