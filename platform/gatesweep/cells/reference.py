"""The loop over time: the definition of what every cell computes, and the oracle that faster ways are held against.

    g_t = W x_t + b + R s_(t-1)        states_t = step(g_t, states_(t-1), peepholes)        output_t = h_t

Any device, any floating dtype, differentiable as often as you like. Only W x + b is taken out of the loop.
Shape suffixes: T time steps, B batch, D inputs, H hidden units, K pre-activations times H, S sources times H.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor
from torch.nn import functional

from gatesweep.cells.description import Cell
from gatesweep.cells.weights import Weights, uniform

State = tuple[Tensor, ...]


def unroll(
    cell: Cell, x_TBD: Tensor, state: State, weights: Weights, lengths_B: Tensor | None = None
) -> tuple[Tensor, State]:
    """Run the cell over every time step.

    Args:
        x_TBD: at least one step.
        state: one [B, H] tensor for each of `cell.states`, before the first step.
        lengths_B: steps of each sequence, the rest being padding: the state stands still there and the output is 0.

    Returns:
        `h_TBH` and the states after each sequence's last step.
    """
    w_KD, r_KS, b_K = uniform(cell, weights)
    pre_TBK = functional.linear(x_TBD, w_KD, b_K)
    states = dict(zip(cell.states, state, strict=True))
    peepholes = dict(zip(cell.peepholes, weights.peephole_PH, strict=True))
    output = []
    for t, pre_BK in enumerate(pre_TBK.unbind(0)):
        g_BK = pre_BK + functional.linear(sources(cell, states), r_KS)
        new = step(cell, g_BK, states, peepholes)
        h_BH = new[cell.states[0]]
        if lengths_B is not None:
            alive_B1 = (lengths_B > t).unsqueeze(1)
            h_BH = torch.where(alive_B1, h_BH, 0.0)
            new = {name: torch.where(alive_B1, new[name], states[name]) for name in cell.states}
        states = new
        output.append(h_BH)
    return torch.stack(output), tuple(states[name] for name in cell.states)


def sources(cell: Cell, states: Mapping[str, Tensor]) -> Tensor:
    """What the recurrent weights read: the named states side by side, [B, S]."""
    if len(cell.sources) == 1:
        return states[cell.sources[0]]
    return torch.cat([states[name] for name in cell.sources], dim=-1)


def step(
    cell: Cell, g_BK: Tensor, states: Mapping[str, Tensor], peepholes: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """One step of the cell on tensors, from its stacked pre-activations."""
    gates = dict(zip(cell.preactivations, g_BK.chunk(len(cell.preactivations), dim=-1), strict=True))
    return cast(dict[str, Tensor], dict(cell.step(gates, states, peepholes)))
