"""The Triton back end: any cell that works unit by unit, by one generated kernel a time step in each direction.

    forward     g_t += R s_(t-1), a product of torch; then `step`: s_t, activations over g_t
    backward    `step_back`: dg_t, ds_(t-1) through the step, dp; then ds_(t-1) += dg_t R, a product of torch

The rest is that of `unrolled.py`. Half precision is computed in float32. The values are those of `reference.unroll` up
to rounding.

Shape suffixes: T time steps, B batch, D inputs, H hidden units, K pre-activations times H, S sources times H, P
peepholes and vectors, M masks, n sequences still running.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gatesweep.cells.description import Cell
from gatesweep.cells.reference import State, sources
from gatesweep.cells.triton.kernel import kernels
from gatesweep.cells.unrolled import Loops, Running, States, unroll_by
from gatesweep.cells.weights import Weights

_HALF = (torch.bfloat16, torch.float16)


def unroll(
    cell: Cell, x_TBD: Tensor, state: State, weights: Weights, lengths_B: Tensor | None = None,
    masks: Tensor | None = None,
) -> tuple[Tensor, State]:  # fmt: skip
    """As `reference.unroll`, once differentiable, not by the masks; the time loop does no work on padding.

    Raises:
        ConfigError: the tensors are not on a GPU, and Triton's interpreter is not asked for.
        ValueError: triton is not installed, or the cell or its weights ask for what this loop does not have.
        RuntimeError: differentiated twice.
    """
    kernels(cell).check_device(x_TBD.device)
    if x_TBD.dtype not in _HALF:
        return unroll_by(_LOOPS, cell, x_TBD, state, weights, lengths_B, masks)
    wide = Weights(*(None if w is None else w.float() for w in weights))  # type: ignore[arg-type]
    h_TBH, final = unroll_by(
        _LOOPS, cell, x_TBD.float(), tuple(s_BH.float() for s_BH in state), wide, lengths_B,
        None if masks is None else masks.float(),
    )  # fmt: skip
    return h_TBH.to(x_TBD.dtype), tuple(s_BH.to(x_TBD.dtype) for s_BH in final)


def _forward(
    cell: Cell, running: Running, m_TMBH: Tensor, g_TBK: Tensor, r_KS: Tensor, p_PH: Tensor, state: States
) -> States:
    (T, B, _), H = g_TBK.shape, p_PH.shape[1]
    step, p_PH, m_TMBH = kernels(cell).step, p_PH.contiguous(), m_TMBH.contiguous()
    history = {name: s_BH.new_empty(T + 1, B, H) for name, s_BH in state.items()}
    for name, s_BH in state.items():
        history[name][0] = s_BH
    r_SK = r_KS.t()
    for t, g_BK in enumerate(g_TBK.unbind(0)):
        n = B if running is None else running[t]
        before, after = ([s_TBH[i] for s_TBH in history.values()] for i in (t, t + 1))
        read_nS = sources(cell, {name: s_BH[:n] for name, s_BH in zip(history, before, strict=True)})
        g_BK[:n].addmm_(read_nS, r_SK)
        step([g_BK, p_PH, m_TMBH[t], *before, *after], n, B, H)
        if n < B:
            for was_BH, is_BH in zip(before, after, strict=True):
                is_BH[n:] = was_BH[n:]
    return history


def _backward(
    cell: Cell, running: Running, m_TMBH: Tensor, g_TBK: Tensor, history: States, r_KS: Tensor, p_PH: Tensor,
    dh_TBH: Tensor, carry: States,
) -> tuple[Tensor, Tensor, States]:  # fmt: skip
    (T, B, _), (P, H) = g_TBK.shape, p_PH.shape
    step_back = kernels(cell).step_back
    p_PH, m_TMBH, dh_TBH = p_PH.contiguous(), m_TMBH.contiguous(), dh_TBH.contiguous()
    dg_TBK, dp_PBH = torch.zeros_like(g_TBK), p_PH.new_zeros(P, B, H)
    carry = {name: d_BH.clone(memory_format=torch.contiguous_format) for name, d_BH in carry.items()}
    through = {name: r_KS[:, k * H : (k + 1) * H] for k, name in enumerate(cell.recurrent)}
    for t in range(T - 1, -1, -1):
        n = B if running is None else running[t]
        before, after = ([s_TBH[i] for s_TBH in history.values()] for i in (t, t + 1))
        step_back(
            [g_TBK[t], p_PH, m_TMBH[t], *before, *after, *carry.values(), dh_TBH[t], dg_TBK[t], dp_PBH], n, B, H
        )
        for name, r_KH in through.items():
            carry[name][:n].addmm_(dg_TBK[t, :n], r_KH)
    return dg_TBK, dp_PBH.sum(1), carry


_LOOPS = Loops("triton", _forward, _backward)
