"""A Transformer encoder, normalised before each part (Vaswani et al. 2017, "Attention is all you need"; Xiong et al.
2020, "On layer normalization in the Transformer architecture", figure 1b), with rotary positions (`rotary.py`).

    h = W_x x + b_x
    h <- h + attention(LN h)              h <- h + W_2 gelu(W_1 LN h + b_1) + b_2         for each layer
    outputs = LN h                        summary = outputs of the last step

Each part's output is dropped out before it is added, as in the paper's section 5.4; attention weights are not.

Causal, it carries keys and values of the last `context` - 1 steps, so that parts of a sequence give what the whole
gives. Not causal, every step sees all others, and there is no state.

Shape suffixes: T time steps, B batch, D inputs, H hidden units, N heads, P past steps, E units of a head.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from gatesweep.models import padding
from gatesweep.models.config import ModelConfig
from gatesweep.models.encoder import Encoded
from gatesweep.models.family import Family
from gatesweep.models.rotary import Turns
from gatesweep.models.self_attention import SelfAttention, Sight, carried, causal_sight, filled, full_sight, seen

FEEDFORWARD = 4.0
"""Units between W_1 and W_2 for each hidden unit, as in the paper."""


class TransformerBlock(nn.Module):
    """One layer: attention, then the same map of every step."""

    def __init__(self, width: int, heads: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.before_attention, self.before_map = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = SelfAttention(width, heads)
        self.map = nn.Sequential(nn.Linear(width, inner), nn.GELU(), nn.Dropout(dropout), nn.Linear(inner, width))
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, h_BTH: Tensor, sight: Sight, past: tuple[Tensor, Tensor] | None, turns: Turns | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """What the layer adds to, and keys and values as `SelfAttention` gives them."""
        found_BTH, steps = self.attention(self.before_attention(h_BTH), sight, past, turns)
        h_BTH = h_BTH + self.dropout(found_BTH)
        return h_BTH + self.dropout(self.map(self.before_map(h_BTH))), steps


class TransformerEncoder(Family):
    """`layers` blocks of `hidden_size` units; causal, its state is `(filled_B, ((k_BNPE, v_BNPE), …))`, a pair of each.
    """

    def __init__(self, config: ModelConfig, input_size: int, *, causal: bool = False) -> None:
        width, heads = config.hidden_size, config.attention_heads
        super().__init__(input_size, width, config.dropout)
        self.causal, self.context, self.heads = causal, config.context, heads
        inner = max(1, round(width * (config.feedforward or FEEDFORWARD)))
        self.project = nn.Linear(input_size, width)
        self.blocks = nn.ModuleList(TransformerBlock(width, heads, inner, config.dropout) for _ in range(config.layers))
        self.norm = nn.LayerNorm(width)

    def state_flops(self, length: int) -> float:
        """q kᵀ and a v, of every layer."""
        return 4.0 * len(self.blocks) * self.output_size * seen(length, self.causal, self.context)

    def _state_sizes(self, B: int) -> Any:
        one = B, self.heads, -1, self.output_size // self.heads
        return ((B,), ((one, one),) * len(self.blocks)) if self.causal else None

    def _encode(self, x_BTD: Tensor, lengths_B: Tensor | None, state: Any) -> Encoded:
        B, T, _ = x_BTD.shape
        filled_B, pasts = (None, (None,) * len(self.blocks)) if state is None else state
        before = 0 if state is None else state[1][0][0].shape[2]
        sight = (causal_sight(T, before, self.context, filled_B, x_BTD.device) if self.causal
                 else full_sight(T, lengths_B))  # fmt: skip
        h_BTH = self.project(x_BTD)
        turns, after = Turns(before + T, self.output_size // self.heads, h_BTH), []
        for block, past in zip(self.blocks, pasts, strict=True):
            h_BTH, steps = block(h_BTH, sight, past, turns)
            if self.causal:
                after.append(carried(steps, sight, self.context, lengths_B))
        h_BTH = self.norm(h_BTH)
        now_B = filled(sight, T, B, self.context, lengths_B, x_BTD.device)
        return Encoded(h_BTH, padding.last(h_BTH, lengths_B), (now_B, tuple(after)) if self.causal else None)
