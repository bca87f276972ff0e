"""Chrono initialisation (Tallec & Ollivier, "Can recurrent neural networks warp time?", ICLR 2018).

A unit that keeps a share f of its state at every step remembers for about 1 / (1 - f) steps. To spread the units over
memories of 1 to T_max - 1 steps,

    b_f = log u      b_i = -b_f      u uniform between 1 and T_max - 1, drawn for each unit

so that σ(b_f) = u / (1 + u), and what a gate forgets is what its partner lets in. A cell with one gate for both, where
1 - i forgets, has b_i = -log u alone.

No torch here: configuration asks which cells this fits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatesweep.cells.names import hinted, own

if TYPE_CHECKING:
    from gatesweep.cells.description import Cell
    from gatesweep.cells.weights import Weights

_Z = {"gru": 1.0, "gru_before": 1.0, "mingru": -1.0}
"""torch's z, (1 - z) n + z h, weighs the old state; minGRU's, (1 - z) h + z n, the new one."""


def signs(cell: Cell) -> dict[str, float]:
    """For each gate that keeps (1) or overwrites (-1) the state, its bias as a multiple of log u.

    Raises:
        ValueError: the cell has no gate that forgets, so nothing sets how long it remembers.
    """
    found = {gate: 1.0 if sign > 0 else -1.0 for gate, sign in cell.forget.items()}
    if cell.name in _Z:
        found = {"z": _Z[cell.name]}
    if not found:
        raise ValueError(hinted(f"chrono: cell '{own(cell.name)}' has no gate that forgets, for it to set",
                                "leave chrono out"))
    return found | ({"i": -1.0} if "i" in cell.gates else {})


def initialise(cell: Cell, weights: Weights, longest: int) -> None:
    """Set the gates' two biases to chrono's and 0, drawn from torch's generator; to be called without gradients."""
    bias, bias_rec = weights.input_bias_G.view(len(cell.gates), -1), weights.recurrent_bias_G.view(len(cell.gates), -1)
    memory_H = bias[0].new_empty(bias.shape[1]).uniform_(1, longest - 1).log_()
    for gate, sign in signs(cell).items():
        bias[cell.gates.index(gate)] = sign * memory_H
        bias_rec[cell.gates.index(gate)] = 0.0
