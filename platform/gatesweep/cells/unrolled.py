"""What surrounds a loop over time that works on a cell's step unit by unit, forwards and backwards.

    forward     G = W x + b for all steps at once; the loop adds R s and steps, activations over G
    backward    the loop gives the adjoints of G, of p and of the first states; dW, dR, dx and db are one product or sum
                each, at the end

Sequences of unequal length go through the loop with the longest first: at each step it works on the rows that are still
running. A derivative of the derivative raises: take the reference for that.

Shape suffixes: T time steps, B batch, D inputs, H hidden units, K pre-activations times H, S sources times H, P
peepholes and vectors, M masks, N rows (T times B).
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from gatesweep.cells.description import Cell
from gatesweep.cells.reference import State, sources
from gatesweep.cells.weights import Weights, uniform

States = dict[str, Tensor]
Running = tuple[int, ...] | None
"""How many sequences, the longest first, have each step; None: all of them."""


class Forward(Protocol):
    """The loop forwards: the states before every step and after the last, [T + 1, B, H]; activations over `g_TBK`."""

    def __call__(
        self, cell: Cell, running: Running, m_TMBH: Tensor, g_TBK: Tensor, r_KS: Tensor, p_PH: Tensor, state: States, /
    ) -> States: ...


class Backward(Protocol):
    """The loop backwards: dg of every step, dp, and the adjoints of the states before the first step.

    `history` and `g_TBK` are as `Forward` left them and stay so; `carry` has the adjoints of the last states.
    """

    def __call__(
        self, cell: Cell, running: Running, m_TMBH: Tensor, g_TBK: Tensor, history: States, r_KS: Tensor, p_PH: Tensor,
        dh_TBH: Tensor, carry: States, /,
    ) -> tuple[Tensor, Tensor, States]: ...  # fmt: skip


class Loops(NamedTuple):
    """Both directions of one way to loop."""

    name: str
    forward: Forward
    backward: Backward


def unroll_by(
    loops: Loops, cell: Cell, x_TBD: Tensor, state: State, weights: Weights, lengths_B: Tensor | None,
    masks: Tensor | None,
) -> tuple[Tensor, State]:  # fmt: skip
    """As `reference.unroll`, by these loops; once differentiable, not by the masks.

    Raises:
        ValueError: the weights bring a projection or a layer norm.
        RuntimeError: differentiated twice.
    """
    if weights.projection_PH is not None or weights.input_gain_K is not None:
        raise ValueError(f"cell '{cell.name}': the {loops.name} loop has no projection and no layer norm")
    w_KD, r_KS, b_K = uniform(cell, weights)
    if lengths_B is None:
        h_TBH, *final = _apply(loops, cell, None, masks, x_TBD, w_KD, r_KS, b_K, weights.peephole_PH, *state)
        return h_TBH, tuple(final)
    order = torch.argsort(lengths_B, descending=True, stable=True)
    back = torch.argsort(order)
    alive_TB = torch.arange(len(x_TBD), device=x_TBD.device)[:, None] < lengths_B
    running, masks = tuple(alive_TB.sum(1).tolist()), None if masks is None else masks[:, :, order]
    h_TBH, *final = _apply(
        loops, cell, running, masks, x_TBD[:, order], w_KD, r_KS, b_K, weights.peephole_PH,
        *(s_BH[order] for s_BH in state),
    )
    return torch.where(alive_TB.unsqueeze(2), h_TBH[:, back], 0.0), tuple(s_BH[back] for s_BH in final)


def _apply(*args: Any) -> tuple[Tensor, ...]:
    outputs: tuple[Tensor, ...] = _Unrolled.apply(*args)  # type: ignore[no-untyped-call]
    return outputs


class _Unrolled(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, loops: Loops, cell: Cell, running: Running, m_TMBH: Tensor | None, x_TBD: Tensor, w_KD: Tensor,
        r_KS: Tensor, b_K: Tensor, p_PH: Tensor, *state: Tensor,
    ) -> tuple[Tensor, ...]:  # fmt: skip
        T, B, D = x_TBD.shape
        m_TMBH = x_TBD.new_empty(T, 0, B, p_PH.shape[1]) if m_TMBH is None else m_TMBH
        g_TBK = torch.addmm(b_K, x_TBD.reshape(T * B, D), w_KD.t()).view(T, B, -1)
        history = loops.forward(cell, running, m_TMBH, g_TBK, r_KS, p_PH, dict(zip(cell.states, state, strict=True)))
        ctx.loops, ctx.cell, ctx.running = loops, cell, running
        ctx.save_for_backward(m_TMBH, x_TBD, w_KD, r_KS, p_PH, g_TBK, *history.values())
        return history[cell.states[0]][1:], *(s_TBH[-1].clone() for s_TBH in history.values())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dh_TBH: Tensor, *dfinal: Tensor) -> tuple[Tensor | None, ...]:
        m_TMBH, x_TBD, w_KD, r_KS, p_PH, g_TBK, *history = ctx.saved_tensors
        cell, (T, B, D) = ctx.cell, x_TBD.shape
        states = dict(zip(cell.states, history, strict=True))
        dg_TBK, dp_PH, dstate = ctx.loops.backward(
            cell, ctx.running, m_TMBH, g_TBK, states, r_KS, p_PH, dh_TBH, dict(zip(cell.states, dfinal, strict=True))
        )
        dg_NK = dg_TBK.view(T * B, -1)
        before_NS = sources(cell, {name: s_TBH[:-1].reshape(T * B, -1) for name, s_TBH in states.items()})
        dx_TBD = (dg_NK @ w_KD).view(T, B, D) if ctx.needs_input_grad[4] else None
        # The narrow matrix first: MKL is up to five times slower on the transposed product.
        dw_KD, dr_KS = (x_TBD.reshape(T * B, D).t() @ dg_NK).t(), (before_NS.t() @ dg_NK).t()
        return None, None, None, None, dx_TBD, dw_KD, dr_KS, dg_NK.sum(0), dp_PH, *dstate.values()


def rows(x: Tensor, n: int) -> Tensor:
    """The first n rows; a number has none, and stays."""
    return x if x.dim() == 0 or len(x) == n else x[:n]
