"""Cells and options against loops written from the papers: numpy, one gate at a time, no code of ours.

Every recurrent matrix is taken apart here by hand, so that the order of gates and sources is tested too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from cell_problems import Problem, problem

from gatesweep.cells import fused, reference
from gatesweep.cells.options import cell_norm, clip, complete, recurrent_dropout, visible_states, zoneout
from gatesweep.cells.variants import find

T, B, D, H = 6, 3, 4, 6

Array = np.ndarray[Any, Any]
loops = pytest.mark.parametrize("unroll", [reference.unroll, fused.unroll], ids=["reference", "fused"])


def σ(a: Array) -> Array:
    return 1 / (1 + np.exp(-a))


def ln(a: Array) -> Array:
    return (a - a.mean(1, keepdims=True)) / np.sqrt(a.var(1, keepdims=True) + 1e-5)


class Layer:
    """A problem's arrays, by gate."""

    def __init__(self, task: Problem) -> None:
        self.cell, self.arrays = task.cell, task.arrays()
        self.x, self.states = self.arrays["x"], {name: self.arrays[name + "_0"] for name in task.cell.states}

    def rows(self, name: str, gate: str) -> Array:
        k = self.cell.gates.index(gate)
        return self.arrays[name][k * H : (k + 1) * H]

    def a(self, gate: str, t: int, h: Array) -> Array:
        """W x + R h + b."""
        bias = self.rows("bias_ih", gate) + self.rows("bias_hh", gate)
        return self.x[t] @ self.rows("weight_ih", gate).T + h @ self.rows("weight_hh", gate).T + bias

    def p(self, name: str) -> Array:
        return self.arrays["peephole"][self.cell.units.index(name)]

    def mask(self, name: str, t: int) -> Array:
        return self.arrays["mask." + name][t]


def assert_equal(task: Problem, unroll: Callable[..., Any], outputs: list[Array], last: dict[str, Array]) -> None:
    got = dict(zip(("y", *task.cell.states), task.run(unroll), strict=True))
    for name, want in {"y": np.stack(outputs), **last}.items():
        np.testing.assert_allclose(got[name].detach().numpy(), want, rtol=1e-10, atol=1e-12, err_msg=name)


@loops
def test_fgr_equals_greff_et_als_full_gate_recurrence(unroll) -> None:
    """Nine matrices R_{from,to}: every gate sees all three gates of the step before; the candidate sees none."""
    task = problem(find("fgr"), T, B, D, H)
    own, outputs = Layer(task), []
    h, c, i, f, o = (own.states[name] for name in "hcifo")

    def block(to: str, source: str) -> Array:
        row, column = "ifo".index(to) * H, "ifo".index(source) * H
        return own.arrays["feedback"][row : row + H, column : column + H].T

    for t in range(T):
        i_fed, f_fed, o_fed = (i @ block(k, "i") + f @ block(k, "f") + o @ block(k, "o") for k in "ifo")
        z = np.tanh(own.a("z", t, h))
        i = σ(own.a("i", t, h) + own.p("i") * c + i_fed)
        f = σ(own.a("f", t, h) + own.p("f") * c + f_fed)
        c = z * i + c * f
        o = σ(own.a("o", t, h) + own.p("o") * c + o_fed)
        h = np.tanh(c) * o
        outputs.append(h)
    assert_equal(task, unroll, outputs, {"h": h, "c": c, "i": i, "f": f, "o": o})


@loops
@pytest.mark.parametrize("heads", [1, 2, 3, 6])
def test_slstm_equals_its_equations_without_the_stabiliser(unroll, heads: int) -> None:
    """Beck et al. 2024, eq. 8 to 14: the stabiliser changes no output, it scales c and n by e^-m."""
    task = problem(find("slstm"), T, B, D, H, heads=heads)
    own, outputs, w = Layer(task), [], H // heads
    h, m = own.states["h"], own.states["m"]
    c, n = own.states["c"] * np.exp(m), own.states["n"] * np.exp(m)

    def a(gate: str, t: int) -> Array:
        heads_R = own.rows("weight_hh", gate)
        fed = [h[:, k : k + w] @ heads_R[k : k + w].T for k in range(0, H, w)]  # each head reads its own units
        bias = own.rows("bias_ih", gate) + own.rows("bias_hh", gate)
        return own.x[t] @ own.rows("weight_ih", gate).T + np.concatenate(fed, 1) + bias

    for t in range(T):
        i, f, z, o = np.exp(a("i", t)), σ(a("f", t)), np.tanh(a("z", t)), σ(a("o", t))
        c, n = f * c + i * z, f * n + i
        h = o * c / n
        outputs.append(h)
    got = dict(zip(("y", *task.cell.states), (x.detach().numpy() for x in task.run(unroll)), strict=True))
    np.testing.assert_allclose(got["y"], np.stack(outputs), rtol=1e-9)
    np.testing.assert_allclose(got["c"] * np.exp(got["m"]), c, rtol=1e-9)
    np.testing.assert_allclose(got["n"] * np.exp(got["m"]), n, rtol=1e-9)


@loops
def test_slstm_stays_finite_where_its_exponential_gate_would_overflow(unroll) -> None:
    task = problem(find("slstm"), T, B, D, H, dtype=torch.float32)
    with torch.no_grad():
        task.tensors[0] *= 5000  # e^1000 is beyond even float64
        for name, state in zip(task.cell.states, task.tensors[-4:], strict=True):
            state.fill_(task.cell.initial.get(name, 0.0))
    outputs = task.run(unroll)
    assert all(y.isfinite().all() for y in outputs)
    assert all(g.isfinite().all() for g in torch.autograd.grad(outputs[0].sum(), task.tensors, materialize_grads=True))


@loops
def test_minlstm_equals_feng_et_als_equations(unroll) -> None:
    task = problem(find("minlstm"), T, B, D, H)
    own, outputs = Layer(task), []
    h, nothing = own.states["h"], np.zeros((B, 0))
    own.arrays["weight_hh"] = np.zeros((3 * H, 0))
    for t in range(T):
        f, i = σ(own.a("f", t, nothing)), σ(own.a("i", t, nothing))
        h = f / (f + i) * h + i / (f + i) * own.a("z", t, nothing)
        outputs.append(h)
    assert_equal(task, unroll, outputs, {"h": h})


@loops
def test_mingru_equals_feng_et_als_equations(unroll) -> None:
    task = problem(find("mingru"), T, B, D, H)
    own, outputs = Layer(task), []
    h, nothing = own.states["h"], np.zeros((B, 0))
    own.arrays["weight_hh"] = np.zeros((2 * H, 0))
    for t in range(T):
        z = σ(own.a("z", t, nothing))
        h = (1 - z) * h + z * own.a("n", t, nothing)
        outputs.append(h)
    assert_equal(task, unroll, outputs, {"h": h})


def lstm(own: Layer, t: int, h: Array, c: Array, keep: Array | float = 1.0) -> tuple[Array, Array]:
    """One step of torch's LSTM, the candidate times `keep`."""
    i, f, z, o = σ(own.a("i", t, h)), σ(own.a("f", t, h)), np.tanh(own.a("z", t, h)), σ(own.a("o", t, h))
    c = f * c + i * z * keep
    return o * np.tanh(c), c


@loops
def test_zoneout_equals_krueger_et_als_equations(unroll) -> None:
    """h is formed of the cell state as it would be without zoneout."""
    task = problem(zoneout(find("vanilla"), ("h", "c")), T, B, D, H)
    own, outputs = Layer(task), []
    h, c = own.states["h"], own.states["c"]
    for t in range(T):
        h_new, c_new = lstm(own, t, h, c)
        d_h, d_c = own.mask("h", t), own.mask("c", t)
        h, c = d_h * h + (1 - d_h) * h_new, d_c * c + (1 - d_c) * c_new
        outputs.append(h)
    assert_equal(task, unroll, outputs, {"h": h, "c": c})


@loops
def test_dropout_of_the_candidate_equals_semeniuta_et_als_equations(unroll) -> None:
    task = problem(recurrent_dropout(find("vanilla"), "candidate"), T, B, D, H)
    own, outputs = Layer(task), []
    h, c = own.states["h"], own.states["c"]
    for t in range(T):
        h, c = lstm(own, t, h, c, own.mask("candidate", t))
        outputs.append(h)
    assert_equal(task, unroll, outputs, {"h": h, "c": c})


@loops
def test_variational_dropout_equals_gal_and_ghahramanis_one_mask_for_all_steps(unroll) -> None:
    task = problem(recurrent_dropout(find("vanilla"), "variational"), T, B, D, H)
    assert visible_states(task.cell) == ("h", "c")
    task.masks = task.masks[:1].expand(T, -1, -1, -1)
    own, outputs = Layer(task), []
    h, c, mask = own.states["h"], own.states["c"], own.mask("variational", 0)
    with torch.no_grad():
        task.tensors[-3:] = complete(task.cell, tuple(task.tensors[-3:-1]), task.masks)
    for t in range(T):
        h, c = lstm(own, t, h * mask, c)
        outputs.append(h)
    assert_equal(task, unroll, outputs, {"h": h, "c": c, "h.masked": h * mask})


@loops
def test_clipping_equals_sak_et_als_bound_on_the_cell_state(unroll) -> None:
    task = problem(clip(find("peephole"), 0.4), T, B, D, H)
    own, outputs = Layer(task), []
    h, c = own.states["h"], own.states["c"]
    for t in range(T):
        i, f = σ(own.a("i", t, h) + own.p("i") * c), σ(own.a("f", t, h) + own.p("f") * c)
        c = np.clip(f * c + i * np.tanh(own.a("z", t, h)), -0.4, 0.4)
        h = σ(own.a("o", t, h) + own.p("o") * c) * np.tanh(c)
        outputs.append(h)
    assert (np.abs(c) == 0.4).any()
    assert (np.abs(c) < 0.4).any()
    assert_equal(task, unroll, outputs, {"h": h, "c": c})


@pytest.mark.parametrize("of_the_cell", [False, True])
def test_layer_norm_equals_ba_et_als_lstm(of_the_cell: bool) -> None:
    """Ba et al. 2016, eq. 20 to 22: both halves over all four gates' units together, and the cell state by itself."""
    cell = cell_norm(find("vanilla")) if of_the_cell else find("vanilla")
    task = problem(cell, T, B, D, H, norm=True)
    own, outputs = Layer(task), []
    h, c = own.states["h"], own.states["c"]
    for t in range(T):
        input_ = ln(own.x[t] @ own.arrays["weight_ih"].T) * own.arrays["gain_ih"]
        recurrent = ln(h @ own.arrays["weight_hh"].T) * own.arrays["gain_hh"]
        a = input_ + recurrent + own.arrays["bias_ih"] + own.arrays["bias_hh"]
        i, f, z, o = (a[:, k * H : (k + 1) * H] for k in range(4))
        c = σ(f) * c + σ(i) * np.tanh(z)
        h = σ(o) * np.tanh(ln(c) * own.p("c_gain") + own.p("c_bias") if of_the_cell else c)
        outputs.append(h)
    assert_equal(task, reference.unroll, outputs, {"h": h, "c": c})


def test_layer_norm_of_the_gru_leaves_the_reset_gates_halves_apart() -> None:
    task = problem(find("gru"), T, B, D, H, norm=True)
    own, outputs = Layer(task), []
    h = own.states["h"]
    for t in range(T):
        a = ln(own.x[t] @ own.arrays["weight_ih"].T) * own.arrays["gain_ih"] + own.arrays["bias_ih"]
        b = ln(h @ own.arrays["weight_hh"].T) * own.arrays["gain_hh"] + own.arrays["bias_hh"]
        r, z = σ(a[:, :H] + b[:, :H]), σ(a[:, H : 2 * H] + b[:, H : 2 * H])
        n = np.tanh(a[:, 2 * H :] + r * b[:, 2 * H :])
        h = (1 - z) * n + z * h
        outputs.append(h)
    assert_equal(task, reference.unroll, outputs, {"h": h})
