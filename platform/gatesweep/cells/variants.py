"""The cells: each is its equations.

    vanilla    Hochreiter & Schmidhuber 1997 with the forget gate of Gers, Schmidhuber & Cummins 2000; = torch.nn.LSTM
    peephole   the gates also see the cell state (Gers & Schmidhuber 2000); = Greff et al. 2017's vanilla (V)
    coupled    one gate both lets in and forgets (Greff et al. 2017's CIFG, here without its peepholes)
    nig nfg nog niaf noaf cifg fgr        Greff et al. 2017, appendix, each one change to peephole
    slstm      Beck et al. 2024 (xLSTM), section 2.2: an exponential input gate, a normaliser, a stabiliser
    gru        Cho et al. 2014, reset after the recurrent product; = torch.nn.GRU
    gru_before as Cho et al. 2014 print it: reset before the recurrent product
    minlstm mingru        Feng et al. 2024, section 3: gates that see the input alone
    rnn        Elman 1990; = torch.nn.RNN

Weights' rows stand in the order of `gates`: torch's own for vanilla (i f z o; torch calls z "g"), gru (r z n) and rnn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

from gatesweep.cells.description import (
    RECURRENT,
    Cell,
    Value,
    Values,
    exp,
    identity,
    log_sigmoid,
    maximum,
    sigmoid,
    tanh,
)
from gatesweep.cells.names import MATRIX_CELLS, canonical, check_peepholes
from gatesweep.cells.places import bounded, dropped, shown

Function = Callable[[Value], Value]


def lstm(
    name: str, gates: str = "ifzo", *, coupled: bool = False, candidate: Function = tanh, squash: Function = tanh,
    peepholes: bool = True, feedback: bool = False,
) -> Cell:  # fmt: skip
    """A cell of the LSTM family; a gate that is not among `gates` is always open.

    Args:
        coupled: the forget gate is 1 - i.
        candidate: what makes the candidate of its pre-activation.
        squash: what the output gate lets through of the cell state.
        feedback: whether the gates see all gates of the step before.
    """

    def step(g: Values, s: Values, p: Values) -> Values:
        i = _gate(g, p, "i", s["c"])
        f = 1 - i if coupled else _gate(g, p, "f", s["c"])
        z = dropped(p, candidate(g["z"]))
        c = bounded(p, f * s["c"] + i * z)
        o = _gate(g, p, "o", c)
        return {"h": o * squash(shown(p, c)), "c": c} | ({"i": i, "f": f, "o": o} if feedback else {})

    sigmoids = tuple(gate for gate in "ifo" if gate in gates)
    # f = 1 - i: an input gate that starts at σ(-forget_bias) makes a forget gate of σ(forget_bias).
    forget = {"i": -1.0} if coupled else {"f": 1.0} if "f" in gates else {}
    return Cell(name, tuple(gates), ("h", "c", *(sigmoids if feedback else ())), step, forget=forget,
                peepholes=sigmoids if peepholes else (), feedback=sigmoids if feedback else ())


def _gate(g: Values, p: Values, gate: str, c: Value) -> Value:
    """σ of a gate's pre-activation, with p ⊙ c added where the gate has a peephole; 1 where the cell has no such gate.
    """
    if gate not in g:
        return 1.0  # type: ignore[return-value]
    return sigmoid(g[gate] + p[gate] * c if gate in p else g[gate])


def _slstm(g: Values, s: Values, p: Values) -> Values:
    f = log_sigmoid(g["f"])
    m = maximum(f + s["m"], g["i"])
    i, f = exp(g["i"] - m), exp(f + s["m"] - m)
    c = f * s["c"] + i * dropped(p, tanh(g["z"]))
    n = f * s["n"] + i
    return {"h": sigmoid(g["o"]) * (c / n), "c": c, "n": n, "m": m}


def _gru(g: Values, s: Values, p: Values) -> Values:
    r, z = sigmoid(g["r"]), sigmoid(g["z"])
    n = dropped(p, tanh(g["n"] + r * g["n" + RECURRENT]))
    return {"h": n + z * (s["h"] - n)}


def _reset(g: Values, s: Values, p: Values) -> Values:
    return {"n": sigmoid(g["r"]) * s["h"]}


def _gru_before(g: Values, s: Values, p: Values) -> Values:
    z, n = sigmoid(g["z"]), dropped(p, tanh(g["n"]))
    return {"h": n + z * (s["h"] - n)}


def _minlstm(g: Values, s: Values, p: Values) -> Values:
    f, i = sigmoid(g["f"]), sigmoid(g["i"])
    return {"h": (f * s["h"] + i * dropped(p, g["z"])) / (f + i)}


def _mingru(g: Values, s: Values, p: Values) -> Values:
    z = sigmoid(g["z"])
    return {"h": s["h"] + z * (dropped(p, g["n"]) - s["h"])}


def _rnn(g: Values, s: Values, p: Values) -> Values:
    return {"h": tanh(g["h"])}


VANILLA = lstm("vanilla", peepholes=False)
PEEPHOLE = lstm("peephole")
COUPLED = lstm("coupled", "izo", coupled=True, peepholes=False)
NIG = lstm("nig", "fzo")
NFG = lstm("nfg", "izo")
NOG = lstm("nog", "ifz")
NIAF = lstm("niaf", candidate=identity)
NOAF = lstm("noaf", squash=identity)
CIFG = lstm("cifg", "izo", coupled=True)
FGR = lstm("fgr", feedback=True)
# A stabiliser that starts far below any gate becomes the first input gate's, so that n starts at 1: from 0, an input
# gate of e^-104 would leave float32 with 0 / 0.
SLSTM = Cell("slstm", gates=("i", "f", "z", "o"), states=("h", "c", "n", "m"), step=_slstm, forget={"f": 1.0},
             initial={"m": -1e4})
GRU = Cell("gru", gates=("r", "z", "n"), states=("h",), step=_gru, apart=("n",))
GRU_BEFORE = Cell("gru_before", gates=("r", "z", "n"), states=("h",), step=_gru_before, inner=_reset)
MINLSTM = Cell("minlstm", gates=("i", "f", "z"), states=("h",), step=_minlstm, sources=(), forget={"f": 1.0})
MINGRU = Cell("mingru", gates=("z", "n"), states=("h",), step=_mingru, sources=())
RNN = Cell("rnn", gates=("h",), states=("h",), step=_rnn)

CELLS = {
    cell.name: cell
    for cell in (VANILLA, PEEPHOLE, COUPLED, NIG, NFG, NOG, NIAF, NOAF, CIFG, FGR, SLSTM, MINLSTM, MINGRU, GRU,
                 GRU_BEFORE, RNN)
}  # fmt: skip
_OTHER = {VANILLA: PEEPHOLE, PEEPHOLE: VANILLA, COUPLED: CIFG, CIFG: COUPLED}
"""The same equations with peepholes and without, where both have names."""


def find(name: str, peepholes: bool | None = None) -> Cell:
    """The cell of that name, its peepholes added or taken away where `peepholes` says so; always the same object.

    Raises:
        ValueError: unknown name, or peepholes asked of a cell without a cell state.
    """
    check_peepholes(name, peepholes)
    if canonical(name) in MATRIX_CELLS:
        raise ValueError(f"cell '{name}' is described by no step: its state is a matrix\n\nhint: docs/cells/xlstm.md")
    cell = CELLS[canonical(name)]
    if peepholes is None or peepholes == bool(cell.peepholes):
        return cell
    return _OTHER[cell] if cell in _OTHER else _bare(cell)


@cache
def _bare(cell: Cell) -> Cell:
    return replace(cell, peepholes=())
