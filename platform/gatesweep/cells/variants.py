"""The cells: each is its equations.

    vanilla    Hochreiter & Schmidhuber 1997 with the forget gate of Gers, Schmidhuber & Cummins 2000; = torch.nn.LSTM
    peephole   the gates also see the cell state (Gers & Schmidhuber 2000); = Greff et al. 2017's vanilla (V)
    coupled    one gate both lets in and forgets (Greff et al. 2017's CIFG, here without its peepholes)
    gru        Cho et al. 2014, reset after the recurrent product; = torch.nn.GRU
    rnn        Elman 1990; = torch.nn.RNN

Weights' rows stand in the order of `gates`: torch's own for vanilla (i f z o; torch calls z "g"), gru (r z n) and rnn.
"""

from __future__ import annotations

from dataclasses import replace

from gatesweep.cells.description import RECURRENT, Cell, Value, Values, sigmoid, tanh
from gatesweep.cells.names import canonical, check_peepholes


def _peep(g: Values, p: Values, gate: str, c: Value) -> Value:
    """A gate's pre-activation, with p ⊙ c added where the gate has a peephole."""
    return g[gate] + p[gate] * c if gate in p else g[gate]


def _lstm(g: Values, s: Values, p: Values) -> Values:
    i = sigmoid(_peep(g, p, "i", s["c"]))
    f = sigmoid(_peep(g, p, "f", s["c"]))
    z = tanh(g["z"])
    c = f * s["c"] + i * z
    o = sigmoid(_peep(g, p, "o", c))
    return {"h": o * tanh(c), "c": c}


def _coupled(g: Values, s: Values, p: Values) -> Values:
    i = sigmoid(_peep(g, p, "i", s["c"]))
    z = tanh(g["z"])
    c = (1 - i) * s["c"] + i * z
    o = sigmoid(_peep(g, p, "o", c))
    return {"h": o * tanh(c), "c": c}


def _gru(g: Values, s: Values, p: Values) -> Values:
    r = sigmoid(g["r"])
    z = sigmoid(g["z"])
    n = tanh(g["n"] + r * g["n" + RECURRENT])
    return {"h": n + z * (s["h"] - n)}


def _rnn(g: Values, s: Values, p: Values) -> Values:
    return {"h": tanh(g["h"])}


VANILLA = Cell("vanilla", gates=("i", "f", "z", "o"), states=("h", "c"), step=_lstm, forget={"f": 1.0})
PEEPHOLE = replace(VANILLA, name="peephole", peepholes=("i", "f", "o"))
# f = 1 - i: an input gate that starts at σ(-forget_bias) makes a forget gate of σ(forget_bias).
COUPLED = Cell("coupled", gates=("i", "z", "o"), states=("h", "c"), step=_coupled, forget={"i": -1.0})
GRU = Cell("gru", gates=("r", "z", "n"), states=("h",), step=_gru, apart=("n",))
RNN = Cell("rnn", gates=("h",), states=("h",), step=_rnn)

CELLS = {cell.name: cell for cell in (VANILLA, PEEPHOLE, COUPLED, GRU, RNN)}


def find(name: str, peepholes: bool | None = None) -> Cell:
    """The cell of that name, its peepholes added or taken away where `peepholes` says so.

    Raises:
        ValueError: unknown name, or peepholes asked of a cell without a cell state.
    """
    check_peepholes(name, peepholes)
    cell = CELLS[canonical(name)]
    if peepholes is None or peepholes == bool(cell.peepholes):
        return cell
    if cell.step is _lstm:
        return PEEPHOLE if peepholes else VANILLA
    return replace(cell, peepholes=tuple(gate for gate in cell.gates if gate in "ifo") if peepholes else ())
