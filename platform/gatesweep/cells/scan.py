"""h_t = a_t ⊙ h_(t-1) + b_t for all time steps at once: the parallel scan under every cell that is linear in its state.

Time is cut into blocks of L steps that advance side by side, each as if it began at 0, while the product of its a's is
kept; then the blocks' ends are joined, one block a step; then every step gains what was there before its block:

    s_l = a_l ⊙ s_(l-1) + b_l      p_l = a_l ⊙ p_(l-1)      within each block
    e_k = p_L,k ⊙ e_(k-1) + s_L,k                            from block to block
    h   = s + p ⊙ e_(k-1)

That is 2 √T steps on wide tensors where the plain recurrence has T on narrow ones: Blelloch 1990, "Prefix sums and
their applications", with two levels. A CPU gains nothing from more width once a step fills a core: there, L = T.

It divides by nothing and takes no logarithm. With 0 <= a <= 1, p falls at worst to 0, and then what it stands for is 0,
so nothing overflows at any T, whereas the closed form b_t / (a_1 … a_t) does, and its form in logarithms (Heinsen 2023)
needs b > 0 and costs more than the whole recurrence. The derivative is the same scan backwards in time:

    g_t = dh_t + a_(t+1) ⊙ g_(t+1)      db_t = g_t      da_t = g_t ⊙ h_(t-1)      dh_0 = a_1 ⊙ g_1

Shape suffixes: T time steps, B batch, H hidden units, K blocks, L steps of a block.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

FULL = 2048
"""Values in a time step, from which on a CPU core is busy with one step and gains nothing from blocks."""


def linear_scan(a_TBH: Tensor, b_TBH: Tensor, h0_BH: Tensor) -> Tensor:
    """`h_TBH` after each step, from `h0_BH` before the first; differentiable as often as you like.

    Args:
        a_TBH: between 0 and 1 (more is computed, but may grow without bound); at least one step.
    """
    return _scan(a_TBH, b_TBH, h0_BH, False)


def _scan(a_TBH: Tensor, b_TBH: Tensor, h0_BH: Tensor, reverse: bool) -> Tensor:
    h_TBH: Tensor = _Scan.apply(a_TBH, b_TBH, h0_BH, reverse)  # type: ignore[no-untyped-call]
    return h_TBH


class _Scan(torch.autograd.Function):
    """In reverse, h_T+1 is given and h_t = a_t ⊙ h_(t+1) + b_t."""

    @staticmethod
    def forward(ctx: Any, a_TBH: Tensor, b_TBH: Tensor, h0_BH: Tensor, reverse: bool) -> Tensor:
        h_TBH = _solve(a_TBH, b_TBH, h0_BH, reverse)
        ctx.save_for_backward(a_TBH, h0_BH, h_TBH)
        ctx.reverse = reverse
        return h_TBH

    @staticmethod
    def backward(ctx: Any, dh_TBH: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        a_TBH, h0_BH, h_TBH = ctx.saved_tensors
        none_BH, first = torch.zeros_like(h0_BH), -1 if ctx.reverse else 0
        g_TBH = _scan(_before(a_TBH, none_BH, not ctx.reverse), dh_TBH, none_BH, not ctx.reverse)
        return g_TBH * _before(h_TBH, h0_BH, ctx.reverse), g_TBH, a_TBH[first] * g_TBH[first], None


def _before(x_TBH: Tensor, first_BH: Tensor, reverse: bool) -> Tensor:
    """What stands one step earlier in the scan's direction."""
    ends = [x_TBH[1:], first_BH.unsqueeze(0)] if reverse else [first_BH.unsqueeze(0), x_TBH[:-1]]
    return torch.cat(ends)


def _solve(a_TBH: Tensor, b_TBH: Tensor, h0_BH: Tensor, reverse: bool) -> Tensor:
    T = len(a_TBH)
    steps = T if h0_BH.device.type == "cpu" and h0_BH.numel() >= FULL else math.isqrt(T - 1) + 1
    if steps < T:
        if reverse:
            return _blocks(a_TBH.flip(0), b_TBH.flip(0), h0_BH, steps).flip(0)
        return _blocks(a_TBH, b_TBH, h0_BH, steps)
    h_TBH = torch.empty_like(b_TBH)
    order = slice(None, None, -1) if reverse else slice(None)
    _advance(a_TBH.unbind(0)[order], b_TBH.unbind(0)[order], h0_BH, h_TBH.unbind(0)[order])
    return h_TBH


def _blocks(a_TBH: Tensor, b_TBH: Tensor, h0_BH: Tensor, steps: int) -> Tensor:
    """The scan in blocks of `steps`, the last of them filled up with steps that nobody reads."""
    T, B, H = a_TBH.shape
    fill = (0, 0, 0, 0, 0, -T % steps)
    p_KLBH, s_KLBH = (torch.nn.functional.pad(x, fill).view(-1, steps, B, H) for x in (a_TBH, b_TBH))
    a_KBH, p_KBH, s_KBH = p_KLBH.clone().unbind(1), p_KLBH.unbind(1), s_KLBH.unbind(1)
    _advance(a_KBH[1:], s_KBH[1:], s_KBH[0], s_KBH[1:])
    for before_KBH, now_KBH in pairwise(p_KBH):
        now_KBH.mul_(before_KBH)
    e_KBH = torch.empty_like(s_KBH[0])
    _advance(p_KBH[-1].unbind(0), s_KBH[-1].unbind(0), h0_BH, e_KBH.unbind(0))
    return s_KLBH.addcmul_(p_KLBH, _before(e_KBH, h0_BH, False).unsqueeze(1)).view(-1, B, H)[:T]


def _advance(a: Sequence[Tensor], b: Sequence[Tensor], before: Tensor, out: Sequence[Tensor]) -> None:
    """The recurrence itself, one step after the other."""
    for a_now, b_now, h_now in zip(a, b, out, strict=True):
        before = torch.addcmul(b_now, a_now, before, out=h_now)
