"""The sLSTM block of xLSTM: remembered first, then mapped up and down (Beck et al. 2024, "xLSTM: Extended long
short-term memory", NeurIPS, section 2.4 and figure 10).

    y = x + GN(sLSTM(LN x))                                 the cell of docs/cells/xlstm.md, each head normalised
    x <- y + W_down (gelu(W_g LN y) ⊙ W_u LN y)             4/3 H units within

The convolution that the figure draws before two of the gates (the paper calls it optional) is left out: the gates of
this cell see its past output.

Shape suffixes: T time steps, B batch, H hidden units.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from gatesweep.cells.layer import Recurrent
from gatesweep.models.config import ModelConfig

FEEDFORWARD = 4 / 3


class ScalarBlock(nn.Module):
    """One block; its state is that of the cell, `(h, c, n, m)`, each [1, B, H]."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        H = config.hidden_size
        inner = max(1, round(H * (config.feedforward or FEEDFORWARD)))
        self.norm, self.before_map = nn.LayerNorm(H), nn.LayerNorm(H)
        self.cell = Recurrent("slstm", input_size=H, hidden_size=H, batch_first=True, heads=config.heads,
                              forget_bias=config.forget_bias, backend=config.backend)
        self.head_norm = nn.GroupNorm(config.heads, H)
        self.up, self.down = nn.Linear(H, 2 * inner), nn.Linear(inner, H)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x_BTH: Tensor, lengths_B: Tensor | None, state: Any) -> tuple[Tensor, Any]:
        """The block's output and its state afterwards."""
        h_BTH, after = self.cell(self.norm(x_BTH), state, lengths_B)
        y_BTH = x_BTH + self.dropout(self.head_norm(h_BTH.flatten(0, 1)).view_as(h_BTH))
        gate, value = self.up(self.before_map(y_BTH)).chunk(2, -1)
        return y_BTH + self.dropout(self.down(functional.gelu(gate) * value)), after

    def state_sizes(self, B: int) -> Any:
        """None: the cell checks its own."""
        return None

    def state_flops(self) -> float:
        return 0.0
