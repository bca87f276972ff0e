"""Attention over the states of a recurrent network: a recurrent encoder whose every output looks at all others.

    h = recurrent(x)            outputs_t = h_t + attention(h)_t            summary = Σ_t a_t outputs_t

Self-attention (Vaswani et al. 2017; `self_attention.py`) with a residual connection, as Cheng, Dong & Lapata 2016,
"Long short-term memory-networks for machine reading", let an LSTM read its own past, but after the recurrence, so that
the recurrent loop stays one call; then attention pooling (`pooling.py`). No positions: the states know the order.

Causal, step t sees the states of steps t - context + 1 … t, and what steps to come will see is carried besides the
recurrent state. Not causal, every step sees all, and there is no state.

Shape suffixes: T time steps, B batch, D inputs, O outputs, N heads, P past steps, E units of a head.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from gatesweep.cells.layer import Recurrent
from gatesweep.models.attention_pooling import AttentionPooling
from gatesweep.models.config import ModelConfig
from gatesweep.models.costs import cell_flops
from gatesweep.models.encoder import Encoded
from gatesweep.models.family import Family
from gatesweep.models.self_attention import SelfAttention, carried, causal_sight, filled, full_sight, seen


class AttentionEncoder(Family):
    """Recurrent layers and attention; causal, its state is
    `(recurrent state, filled_B, (k_BNPE, v_BNPE), (pooled_BO, log_sum_B))`."""

    def __init__(self, config: ModelConfig, input_size: int, *, causal: bool = False) -> None:
        recurrent = Recurrent(input_size=input_size, batch_first=True, **config.arguments())
        super().__init__(input_size, recurrent.output_size, config.dropout)
        self.causal, self.context, self.heads = causal, config.context, config.attention_heads
        self.recurrent = recurrent
        self.attention = SelfAttention(self.output_size, self.heads)
        self.pooling = AttentionPooling(self.output_size)

    def state_flops(self, length: int) -> float:
        """q kᵀ, a v and the pooled mean, besides what the recurrent layers do."""
        attention = 4.0 * self.output_size * seen(length, self.causal, self.context)
        return cell_flops(self.recurrent) + attention + 2.0 * self.output_size

    def _state_sizes(self, B: int) -> Any:
        one = B, self.heads, -1, self.output_size // self.heads
        return (None, (B,), (one, one), ((B, self.output_size), (B,))) if self.causal else None

    def _encode(self, x_BTD: Tensor, lengths_B: Tensor | None, state: Any) -> Encoded:
        B, T, _ = x_BTD.shape
        recurrent, filled_B, past, pooled = state if state is not None else (None, None, None, None)
        h_BTO, after = self.recurrent(x_BTD, recurrent, lengths_B)
        before = 0 if past is None else past[0].shape[2]
        sight = (causal_sight(T, before, self.context, filled_B, x_BTD.device) if self.causal
                 else full_sight(T, lengths_B))  # fmt: skip
        found_BTO, steps = self.attention(h_BTO, sight, past)
        outputs_BTO = h_BTO + self.dropout(found_BTO)
        summary_BO, log_sum_B = self.pooling(outputs_BTO, lengths_B, pooled)
        if not self.causal:
            return Encoded(outputs_BTO, summary_BO, None)
        now_B = filled(sight, T, B, self.context, lengths_B, x_BTD.device)
        return Encoded(outputs_BTO, summary_BO,
                       (after, now_B, carried(steps, sight, self.context, lengths_B), (summary_BO, log_sum_B)))
