"""Gradients through time, against what can be worked out by hand."""

from __future__ import annotations

import pytest
import torch

from gatesweep.cells.flow import Curve, gradient_flow


def test_the_norms_of_an_elman_network_are_those_of_its_product_of_jacobians():
    T, H, B = 6, 5, 3
    curve = gradient_flow("rnn", length=T, hidden_size=H, input_size=H, batch=B, seed=2)
    generator = torch.Generator().manual_seed(2)
    x_TBD = torch.randn(T, B, H, generator=generator, dtype=torch.float64)
    d_BH = torch.randn(B, H, generator=generator, dtype=torch.float64)
    torch.manual_seed(2)
    w, r, b, b2 = (torch.empty(s, dtype=torch.float64).uniform_(-(H**-0.5), H**-0.5) for s in ((H, H), (H, H), H, H))
    h_TBH, h = [], torch.zeros(B, H, dtype=torch.float64)
    for x in x_TBD:
        h = torch.tanh(x @ w.T + h @ r.T + b + b2)
        h_TBH.append(h)
    norms = [d_BH.norm().item()]
    for h in reversed(h_TBH[1:]):
        d_BH = (d_BH * (1 - h * h)) @ r
        norms.append(d_BH.norm().item())
    assert curve.norm == pytest.approx([norm / norms[0] for norm in reversed(norms)], rel=1e-10)


def test_measuring_leaves_torchs_generator_alone():
    torch.manual_seed(7)
    before = torch.rand(1)
    torch.manual_seed(7)
    gradient_flow("gru", length=3, hidden_size=4, input_size=4, batch=1)
    assert torch.equal(torch.rand(1), before)


def test_a_curve_that_halves_every_five_steps_says_so():
    assert Curve("a", None, tuple(2 ** (t / 5) for t in range(40))).halves_in == pytest.approx(5)
    assert Curve("a", None, (1.0,) * 40).halves_in is None
