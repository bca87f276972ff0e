"""One step of every cell, one unit, by hand: each gate worked out in plain Python from the papers' equations."""

from __future__ import annotations

from math import exp, log, tanh

import pytest
import torch
from torch import Tensor

from gatesweep.cells import Recurrent

X, H0, C0, N0, M0 = 0.7, -0.4, 0.9, 1.2, -0.3
W = {"i": 0.3, "f": -0.6, "z": 1.1, "o": 0.5, "r": 0.8, "n": -0.9, "h": 1.3}
R = {"i": -0.2, "f": 0.4, "z": -0.7, "o": 0.9, "r": -0.5, "n": 0.6, "h": -0.8}
BX = {"i": 0.05, "f": 0.2, "z": -0.15, "o": -0.3, "r": 0.1, "n": 0.25, "h": -0.05}
BH = {"i": -0.1, "f": 0.15, "z": 0.35, "o": 0.05, "r": -0.2, "n": -0.45, "h": 0.3}
P = {"i": 0.45, "f": -0.35, "o": 0.65}


def σ(a: float) -> float:
    return 1 / (1 + exp(-a))


def a(gate: str) -> float:
    """The gate's pre-activation."""
    return W[gate] * X + R[gate] * H0 + BX[gate] + BH[gate]


def one_step(cell: str, peepholes: bool | None, backend: str) -> list[float]:
    """What the layer makes of one step: h, then the other states that there are."""
    layer = Recurrent(cell, input_size=1, hidden_size=1, peepholes=peepholes, backend=backend).double()
    gates = layer.cell.gates
    with torch.no_grad():
        for name, values in (("weight_ih_l0", W), ("weight_hh_l0", R), ("bias_ih_l0", BX), ("bias_hh_l0", BH)):
            by_gate = torch.tensor([values[gate] for gate in gates], dtype=torch.float64)
            if layer.cell.sources or name != "weight_hh_l0":
                layer.get_parameter(name).view(-1).copy_(by_gate)
        if layer.cell.peepholes:
            peepholes_P = torch.tensor([P[gate] for gate in layer.cell.peepholes], dtype=torch.float64)
            layer.get_parameter("peephole_l0").view(-1).copy_(peepholes_P)
    before = {"h": H0, "c": C0, "n": N0, "m": M0}
    state = tuple(torch.full((1, 1, 1), before[name], dtype=torch.float64) for name in layer.cell.states)
    _, after = layer(torch.full((1, 1, 1), X, dtype=torch.float64), state if len(state) > 1 else state[0])
    return [s.item() for s in ((after,) if isinstance(after, Tensor) else after)]


def vanilla() -> list[float]:
    i, f, o, z = σ(a("i")), σ(a("f")), σ(a("o")), tanh(a("z"))
    c = f * C0 + i * z
    return [o * tanh(c), c]


def peephole() -> list[float]:
    i, f, z = σ(a("i") + P["i"] * C0), σ(a("f") + P["f"] * C0), tanh(a("z"))
    c = f * C0 + i * z
    o = σ(a("o") + P["o"] * c)  # the output gate sees the new cell state
    return [o * tanh(c), c]


def coupled() -> list[float]:
    i, o, z = σ(a("i")), σ(a("o")), tanh(a("z"))
    c = (1 - i) * C0 + i * z
    return [o * tanh(c), c]


def cifg() -> list[float]:
    i, z = σ(a("i") + P["i"] * C0), tanh(a("z"))
    c = (1 - i) * C0 + i * z
    o = σ(a("o") + P["o"] * c)
    return [o * tanh(c), c]


def nig() -> list[float]:
    f, z = σ(a("f") + P["f"] * C0), tanh(a("z"))
    c = f * C0 + z
    o = σ(a("o") + P["o"] * c)
    return [o * tanh(c), c]


def nfg() -> list[float]:
    i, z = σ(a("i") + P["i"] * C0), tanh(a("z"))
    c = C0 + i * z
    o = σ(a("o") + P["o"] * c)
    return [o * tanh(c), c]


def nog() -> list[float]:
    i, f, z = σ(a("i") + P["i"] * C0), σ(a("f") + P["f"] * C0), tanh(a("z"))
    c = f * C0 + i * z
    return [tanh(c), c]


def niaf() -> list[float]:
    i, f = σ(a("i") + P["i"] * C0), σ(a("f") + P["f"] * C0)
    c = f * C0 + i * a("z")
    o = σ(a("o") + P["o"] * c)
    return [o * tanh(c), c]


def noaf() -> list[float]:
    i, f, z = σ(a("i") + P["i"] * C0), σ(a("f") + P["f"] * C0), tanh(a("z"))
    c = f * C0 + i * z
    o = σ(a("o") + P["o"] * c)
    return [o * c, c]


def noaf_without_peepholes() -> list[float]:
    c = σ(a("f")) * C0 + σ(a("i")) * tanh(a("z"))
    return [σ(a("o")) * c, c]


def slstm() -> list[float]:
    log_f = log(σ(a("f")))
    m = max(log_f + M0, a("i"))
    i, f, z, o = exp(a("i") - m), exp(log_f + M0 - m), tanh(a("z")), σ(a("o"))
    c, n = f * C0 + i * z, f * N0 + i
    return [o * c / n, c, n, m]


def input_alone(gate: str) -> float:
    return W[gate] * X + BX[gate] + BH[gate]


def minlstm() -> list[float]:
    f, i = σ(input_alone("f")), σ(input_alone("i"))
    return [f / (f + i) * H0 + i / (f + i) * input_alone("z")]


def mingru() -> list[float]:
    z = σ(W["z"] * X + BX["z"] + BH["z"])
    return [(1 - z) * H0 + z * input_alone("n")]


def gru() -> list[float]:
    r, z = σ(a("r")), σ(a("z"))
    n = tanh(W["n"] * X + BX["n"] + r * (R["n"] * H0 + BH["n"]))  # the reset gate acts after the recurrent product
    return [(1 - z) * n + z * H0]


def gru_before() -> list[float]:
    r, z = σ(a("r")), σ(a("z"))
    n = tanh(W["n"] * X + R["n"] * (r * H0) + BX["n"] + BH["n"])
    return [(1 - z) * n + z * H0]


def rnn() -> list[float]:
    return [tanh(a("h"))]


STEPS = [
    ("vanilla", None, vanilla), ("np", None, vanilla), ("vanilla", True, peephole), ("peephole", None, peephole),
    ("peephole", False, vanilla), ("coupled", None, coupled), ("coupled", True, cifg), ("cifg", None, cifg),
    ("cifg", False, coupled), ("nig", None, nig), ("nfg", None, nfg), ("nog", None, nog), ("niaf", None, niaf),
    ("noaf", None, noaf), ("noaf", False, noaf_without_peepholes), ("slstm", None, slstm), ("minlstm", None, minlstm),
    ("mingru", None, mingru), ("gru", None, gru), ("gru_before", None, gru_before), ("rnn", None, rnn),
]  # fmt: skip
RUNS = [(*step, backend) for step in STEPS for backend in ("auto", "fused", "reference")
        if (step[0], backend) != ("gru_before", "fused")]


@pytest.mark.parametrize(("cell", "peepholes", "by_hand", "backend"), RUNS,
                         ids=lambda value: getattr(value, "__name__", str(value)))
def test_one_step_equals_the_equations_worked_out_by_hand(cell, peepholes, by_hand, backend) -> None:
    assert one_step(cell, peepholes, backend) == pytest.approx(by_hand(), abs=1e-12)
