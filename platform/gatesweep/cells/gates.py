"""One layer's parameters by gate: what `Recurrent.gate_parameters` gives."""

from __future__ import annotations

from torch import Tensor

from gatesweep.cells.description import RECURRENT, Cell
from gatesweep.cells.weights import Weights

Parts = dict[str, dict[str, Tensor]]


def by_gate(cell: Cell, weights: Weights) -> Parts:
    """`input`, `recurrent`, `bias` and `peephole`, each by gate; views, but for a bias that is the sum of torch's two.

    A gate whose halves stay apart (the GRU's n) has both biases: its own, and one named `<gate>_recurrent`. Further, of
    the layers that have them: `feedback` by gate, `input_gain` and `recurrent_gain` by gate, and `vector` by name.
    """
    bias, bias_rec = _rows(cell.gates, weights.input_bias_G), _rows(cell.gates, weights.recurrent_bias_G)
    apart = {gate + RECURRENT: bias_rec[gate] for gate in cell.apart}
    units = dict(zip(cell.units, weights.peephole_PH, strict=True))
    parts: Parts = {
        "input": _rows(cell.gates, weights.input_GD),
        "recurrent": _rows(cell.gates, weights.recurrent_GS),
        "bias": {gate: b if gate in cell.apart else b + bias_rec[gate] for gate, b in bias.items()} | apart,
        "peephole": {gate: units[gate] for gate in cell.peepholes},
    }
    further: Parts = {
        "feedback": _rows(cell.feedback, weights.feedback_FF),
        "input_gain": _rows(cell.gates, weights.input_gain_K),
        "recurrent_gain": _rows(cell.gates, weights.recurrent_gain_K),
        "vector": {name: units[name] for name in cell.vectors},
    }
    return parts | {role: gates for role, gates in further.items() if gates}


def _rows(gates: tuple[str, ...], stacked: Tensor | None) -> dict[str, Tensor]:
    return {} if stacked is None else dict(zip(gates, stacked.chunk(len(gates)), strict=True))
