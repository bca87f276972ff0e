"""Self-attention over a sequence, in one direction with a bounded past that is carried, or over all of it.

    q, k, v = W x + b            a_ts = softmax_s(q_tᵀ k_s / √E)            y = W_o Σ_s a_ts v_s + b_o

(Vaswani et al. 2017, "Attention is all you need", equation 1 and section 3.2.2), the product and the softmax by torch's
`scaled_dot_product_attention`. Causal, step t sees steps t - context + 1 … t. The past it may still need is carried:
the keys and values of the last context - 1 steps. So a sequence in parts gives what it gives in one piece.

Shape suffixes: T time steps, P past steps carried, S P + T, B batch, N heads, E units of a head, H width.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from gatesweep.models import padding
from gatesweep.models.rotary import Turns


class Sight(NamedTuple):
    """Who sees whom, the same in every layer of an encoder."""

    mask_B1TS: Tensor | None
    """True where step t sees step s; None where `causal` says all, or nothing is hidden."""

    causal: bool
    """Whether every step sees itself and all before it; then there is no mask, and torch knows a faster way."""

    past: int
    """P."""

    filled_B: Tensor | None
    """How many of the P past steps are a sequence's own: the last ones; None is all."""


def causal_sight(T: int, past: int, context: int, filled_B: Tensor | None, device: torch.device) -> Sight:
    """Each step sees itself and what came before, `context` steps in all."""
    if past == 0 and context >= T:
        return Sight(None, True, 0, None)
    t_T1, s_S = torch.arange(past, past + T, device=device)[:, None], torch.arange(past + T, device=device)
    mask_BTS = ((s_S <= t_T1) & (s_S > t_T1 - context)).unsqueeze(0)
    if filled_B is not None and past:
        mask_BTS = mask_BTS & (s_S >= past - filled_B[:, None])[:, None]
    return Sight(mask_BTS.unsqueeze(1), False, past, filled_B)


def full_sight(T: int, lengths_B: Tensor | None) -> Sight:
    """Each step sees every step that is no padding."""
    mask = None if lengths_B is None else padding.alive(lengths_B, T)[:, None, None, :]
    return Sight(mask, False, 0, None)


class SelfAttention(nn.Module):
    """Multi-head attention of a sequence over itself.

    Args:
        width: H, of what comes and of what leaves.
        heads: must divide it.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.inputs = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.inputs.weight)  # as torch.nn.MultiheadAttention
        nn.init.zeros_(self.inputs.bias)
        nn.init.zeros_(self.output.bias)

    def forward(
        self, x_BTH: Tensor, sight: Sight, past: tuple[Tensor, Tensor] | None = None, turns: Turns | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """What each step finds, [B, T, H].

        Args:
            past: `(k_BNPE, v_BNPE)` of the steps before.
            turns: rotary positions of S steps; without them order shows in `sight` alone.

        Returns:
            The output, and the keys (not turned) and values of all S steps.
        """
        q, k, v = self.inputs(x_BTH).chunk(3, -1)
        q_BNTE, k_BNSE, v_BNSE = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (q, k, v))
        if past is not None:
            k_BNSE, v_BNSE = torch.cat([past[0], k_BNSE], 2), torch.cat([past[1], v_BNSE], 2)
        all_steps = k_BNSE, v_BNSE
        if turns is not None:
            q_BNTE, k_BNSE = turns.turn(q_BNTE, sight.past), turns.turn(k_BNSE)
        found_BNTE = functional.scaled_dot_product_attention(
            q_BNTE, k_BNSE, v_BNSE, attn_mask=sight.mask_B1TS, is_causal=sight.causal
        )
        return self.output(found_BNTE.transpose(1, 2).flatten(2)), all_steps


def carried(
    steps: tuple[Tensor, Tensor], sight: Sight, context: int, lengths_B: Tensor | None
) -> tuple[Tensor, Tensor]:
    """The keys and values that steps to come may still see: the last context - 1 of each sequence, or all there are."""
    count = min(context - 1, steps[0].shape[2])
    k_BNPE, v_BNPE = (padding.tail(part, count, 2, sight.past, lengths_B) for part in steps)
    return k_BNPE, v_BNPE


def filled(sight: Sight, T: int, B: int, context: int, lengths_B: Tensor | None, device: torch.device) -> Tensor:
    """How many of the steps that `carried` keeps are each sequence's own, [B]."""
    before = sight.past if sight.filled_B is None else sight.filled_B
    lengths = torch.full((B,), T, device=device) if lengths_B is None else lengths_B
    return (before + lengths).clamp_max(context - 1)


def seen(T: int, causal: bool, context: int) -> float:
    """How many steps a step sees, the mean over T of them."""
    if not causal:
        return float(T)
    whole = min(T, context)
    return (whole * (whole + 1) / 2 + (T - whole) * context) / T
