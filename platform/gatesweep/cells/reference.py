"""The loop over time: the definition of what every cell computes, and the oracle that faster ways are held against.

    g_t = W x_t + b + R s_(t-1)        states_t = step(g_t, states_(t-1), p, masks_t)        output_t = h_t

and, where the weights bring them (`weights.py`):

    g_t = LN(W x_t) ⊙ gain + LN(R s_(t-1)) ⊙ gain' + b           layer norm, Ba et al. 2016, eq. 20
    h_t = W_p h_t                                                 projection, Sak et al. 2014

Any device, any floating dtype, differentiable as often as you like. Only W x + b is taken out of the loop.
Shape suffixes: T time steps, B batch, D inputs, H hidden units, G gates times H, K pre-activations times H, S sources
times H, M masks, P peepholes and vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional

from gatesweep.cells.description import MASK, NORM_EPS, Cell
from gatesweep.cells.weights import Uniform, Weights, dense, input_half, recurrent_half, uniform

State = tuple[Tensor, ...]


def unroll(
    cell: Cell, x_TBD: Tensor, state: State, weights: Weights, lengths_B: Tensor | None = None,
    masks: Tensor | None = None,
) -> tuple[Tensor, State]:  # fmt: skip
    """Run the cell over every time step.

    Args:
        x_TBD: at least one step.
        state: one [B, H] tensor for each of `cell.states`, before the first step.
        lengths_B: steps of each sequence, the rest being padding: the state stands still there and the output is 0.
        masks: [T, M, B, H], a factor for each of `cell.masks`; None where the cell has none.

    Returns:
        `h_TBH` and the states after each sequence's last step.
    """
    u = uniform(cell, weights)
    pre_TBK, recur = _input(cell, x_TBD, weights, u), _recurrence(cell, weights, u)
    states = dict(zip(cell.states, state, strict=True))
    units = dict(zip(cell.units, weights.peephole_PH, strict=True))
    output, h = [], cell.states[0]
    for t, pre_BK in enumerate(pre_TBK.unbind(0)):
        p = units if masks is None else units | _named(cell, masks[t])
        gates = _by_gate(cell, pre_BK + recur(sources(cell, states)))
        if cell.inner is not None:
            gates |= _inner(cell, _by_gate(cell, pre_BK), cell.inner(gates, states, p), u)
        new = cast(dict[str, Tensor], dict(cell.step(gates, states, p)))
        if weights.projection_PH is not None:
            new[h] = functional.linear(new[h], weights.projection_PH)
        h_BH = new[h]
        if lengths_B is not None:
            alive_B1 = (lengths_B > t).unsqueeze(1)
            h_BH = torch.where(alive_B1, h_BH, 0.0)
            new = {name: torch.where(alive_B1, new[name], states[name]) for name in cell.states}
        states = new
        output.append(h_BH)
    return torch.stack(output), tuple(states[name] for name in cell.states)


def sources(cell: Cell, states: Mapping[str, Tensor]) -> Tensor:
    """What the recurrent weights read: the named states side by side, [B, S]."""
    if not cell.recurrent:
        return states[cell.states[0]][..., :0]
    if len(cell.recurrent) == 1:
        return states[cell.recurrent[0]]
    return torch.cat([states[name] for name in cell.recurrent], dim=-1)


def _by_gate(cell: Cell, g_BK: Tensor) -> dict[str, Tensor]:
    return dict(zip(cell.preactivations, g_BK.chunk(len(cell.preactivations), dim=-1), strict=True))


def _inner(cell: Cell, pre: Mapping[str, Tensor], read: Mapping[str, Any], u: Uniform) -> dict[str, Tensor]:
    """Pre-activations of the gates whose recurrent weights read what `Cell.inner` gives."""
    rows = dict(zip(cell.preactivations, u.recurrent_KS.chunk(len(cell.preactivations)), strict=True))
    return {gate: pre[gate] + functional.linear(read_BS, rows[gate]) for gate, read_BS in read.items()}


def _named(cell: Cell, masks_MBH: Tensor) -> dict[str, Tensor]:
    return {MASK + name: mask_BH for name, mask_BH in zip(cell.masks, masks_MBH, strict=True)}


def _input(cell: Cell, x_TBD: Tensor, weights: Weights, u: Uniform) -> Tensor:
    """The input's half of the pre-activations with the biases, for all steps, [T, B, K]."""
    if weights.input_gain_K is None:
        return functional.linear(x_TBD, u.input_KD, u.bias_K)
    return input_half(cell, _norm(functional.linear(x_TBD, weights.input_GD)) * weights.input_gain_K, -1) + u.bias_K


def _recurrence(cell: Cell, weights: Weights, u: Uniform) -> Callable[[Tensor], Tensor]:
    """The recurrent half of the pre-activations from what the weights read: [B, S] -> [B, K]."""
    gain_G = weights.recurrent_gain_K
    if gain_G is None:
        return lambda s_BS: functional.linear(s_BS, u.recurrent_KS)
    r_GS = dense(cell, weights)
    return lambda s_BS: recurrent_half(cell, _norm(functional.linear(s_BS, r_GS)) * gain_G, -1)


def _norm(x: Tensor) -> Tensor:
    return functional.layer_norm(x, x.shape[-1:], eps=NORM_EPS)
