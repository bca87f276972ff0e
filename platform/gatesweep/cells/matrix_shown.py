"""mLSTM for whoever reads: its lines as text, its counts, and one head of one unit as lines that are worked out.

`equations.py` reads a cell's lines off its step, unit by unit. mLSTM's memory is a matrix, so its lines are written
down here, those of one head of E units; a test computes each from its text and holds it against autograd.

    a_k   pre-activation of gate k      s   n'ᵀ q             t   its size      e   its floor      d   the denominator
    r     what the query reads          ⊙   unit by unit      ·   a number with every unit    Σ   over all numbers

The memory of a head of one unit is one number: k is a_k there, v kᵀ is v ⊙ k, and the way back follows by the chain
rule.
"""

from __future__ import annotations

from functools import lru_cache

from gatesweep.cells.counts import Counts
from gatesweep.cells.description import Cell
from gatesweep.cells.equations import Equations, Line, backward
from gatesweep.cells.expression import Graph, Node
from gatesweep.cells.matrix import GATES, STATES, rows

FORWARD = (
    *((f"a_{gate}", f"W_{gate} x + b_{gate}") for gate in GATES),
    ("q", "a_q"),
    ("k", "a_k / √E"),
    ("v", "a_v"),
    ("l_f", "log σ(a_f)"),
    ("o", "σ(a_o)"),
    ("m'", "max(l_f + m, a_i)"),
    ("i", "exp(a_i - m')"),
    ("f", "exp(l_f + m - m')"),
    ("C'", "f · C + (i · v) kᵀ"),
    ("n'", "f · n + i · k"),
    ("s", "n'ᵀ q"),
    ("t", "|s|"),
    ("e", "exp(-m')"),
    ("d", "max(t, e)"),
    ("r", "C' q / d"),
    ("h'", "o ⊙ r"),
)
"""(name, expression) of one head, in an order in which they can be computed."""

BACKWARD = (
    ("δo", "δh' ⊙ r"),
    ("δa_o", "δo ⊙ o ⊙ (1 - o)"),
    ("δr", "δh' ⊙ o"),
    ("δd", "-(δrᵀ r) / d"),
    ("δt", "δd · [t ≥ e]"),
    ("δe", "δd · (1 - [t ≥ e])"),
    ("δs", "δt · sign(s)"),
    ("δC'", "δC' + δr (q / d)ᵀ"),
    ("δn'", "δn' + δs · q"),
    ("δq", "C'ᵀ δr / d + δs · n'"),
    ("δf", "Σ(δC' ⊙ C) + δn'ᵀ n"),
    ("δi", "vᵀ (δC' k) + δn'ᵀ k"),
    ("δv", "i · (δC' k)"),
    ("δk", "i · (δC'ᵀ v + δn')"),
    ("δm'", "δm' - δe · e - δf · f - δi · i"),
    ("δl_f", "δf · f + δm' · [l_f + m ≥ a_i]"),
    ("δa_f", "δl_f · (1 - σ(a_f))"),
    ("δa_i", "δi · i + δm' · (1 - [l_f + m ≥ a_i])"),
    ("δa_q", "δq"),
    ("δa_k", "δk / √E"),
    ("δa_v", "δv"),
    ("δm", "δl_f"),
    ("δC", "f · δC'"),
    ("δn", "f · δn'"),
    ("δx", " + ".join(f"W_{gate}ᵀ δa_{gate}" for gate in GATES)),
)
"""The adjoints, from those of the new states; where a name stands on both sides, on the right it is what was given."""


def weight_gradients() -> list[str]:
    """The adjoints of matrices and biases: Σ over steps and sequences."""
    return [f"δW_{gate} = Σ δa_{gate} xᵀ    δb_{gate} = Σ δa_{gate}" for gate in GATES]


def counts(input_size: int, hidden_size: int, heads: int = 1) -> Counts:
    """As `counts.counts`, of the lines above: E² numbers of a memory, E of a vector, and single ones, for each head."""
    R, D, E = sum(rows(hidden_size, heads)), input_size, hidden_size // heads
    forward = heads * (5 * E * E + 9 * E + 11)
    backward = heads * (13 * E * E + 20 * E + 26)
    return Counts(R * (D + 1), 2 * R * D + forward, 4 * R * D + backward + R)


UNIT = Cell("mlstm", gates=GATES, states=("h", *STATES), step=lambda g, s, p: dict(s), sources=())
"""The names of a head of one unit; its step is `one_unit`, with names for what `matrix.step` passes on."""


@lru_cache
def one_unit() -> Equations:
    """The lines of a head of one unit."""
    graph = Graph()
    names = ("q", "k", "v", "i", "f", "o", "l_f", "C", "n", "m", "C'", "n'", "m'", "s", "t", "e", "d", "r")
    q, k, v, i, f, o, l_f, C, n, m, C_, n_, m_, s, t, e, d, r = (graph.node("leaf", value=name) for name in names)
    a = {gate: graph.node("leaf", value=f"a_{gate}") for gate in GATES}
    lines: dict[str, Node] = {f"a_{gate}": _affine(graph, gate) for gate in GATES}
    lines |= {
        "q": a["q"], "k": a["k"], "v": a["v"],
        "l_f": graph.node("log_sigmoid", a["f"]), "o": a["o"].sigmoid(),
        "m'": (l_f + m).maximum(a["i"]), "i": (a["i"] - m_).exp(), "f": (l_f + m - m_).exp(),
        "C'": f * C + i * v * k, "n'": f * n + i * k,
        "s": n_ * q, "t": s.maximum(0 - s), "e": (0 - m_).exp(), "d": t.maximum(e), "r": C_ * q / d, "h'": o * r,
    }  # fmt: skip
    forward = tuple(Line(name, value) for name, value in lines.items())
    return Equations(forward, backward(UNIT, forward))


def _affine(graph: Graph, gate: str) -> Node:
    x, bias = graph.node("leaf", value="x"), graph.node("leaf", value=f"b_{gate}")
    return graph.node("matrix", x, value=f"W_{gate}") + bias
