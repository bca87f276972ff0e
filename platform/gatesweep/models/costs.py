"""What a model costs, counted: numbers in its matrices, and the operations of a recurrent cell on a matrix memory.

A matrix costs 2 operations for each of its numbers and step (multiply, add); what works unit by unit (gates' functions,
norms, biases, peepholes) is not counted: it grows with the units, not with their square.
"""

from __future__ import annotations

from torch import nn

from gatesweep.cells import counts
from gatesweep.cells.layer import Recurrent
from gatesweep.cells.matrix_layer import MatrixLSTM
from gatesweep.cells.stacked import Stacked
from gatesweep.models.block_diagonal import BlockDiagonal

MATRICES = (*counts.MATRICES, "weight_hr")
"""Roles of a recurrent layer's parameters that are matrices."""


def matrix_numbers(model: nn.Module) -> int:
    """Numbers in the weights that multiply every step's values, of all parts of a model together."""
    return sum(_of(part) for part in model.modules())


def cell_flops(layer: Recurrent | MatrixLSTM) -> float:
    """Operations of a step on matrix memories: f C + (i v) kᵀ and C q, of each head, layer and direction."""
    if not isinstance(layer, MatrixLSTM):
        return 0.0
    return memory_flops(layer.hidden_size, layer.heads) * layer.num_layers * layer.directions


def memory_flops(units: int, heads: int) -> float:
    """The same of one layer: 5 for each number of a memory."""
    return 5.0 * units**2 / heads


def _of(part: nn.Module) -> int:
    if isinstance(part, Stacked):
        return sum(p.numel() for name, p in part.named_parameters() if name.rsplit("_l", 1)[0] in MATRICES)
    if isinstance(part, nn.Linear | nn.Conv1d):
        return part.weight.numel()
    return part.weight_GOI.numel() if isinstance(part, BlockDiagonal) else 0
