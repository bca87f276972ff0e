"""A recurrent encoder: a sequence in, its outputs and one summary vector per sequence out.

Shape suffixes: T time steps, B batch, D inputs, O outputs (hidden units times directions).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gatesweep.cells.layer import Recurrent
from gatesweep.models.config import ModelConfig


class RecurrentEncoder(nn.Module):
    """The recurrent layers of a configuration, with dropout on what leaves the last one."""

    def __init__(self, config: ModelConfig, input_size: int) -> None:
        super().__init__()
        self.recurrent = Recurrent(
            config.cell,
            input_size=input_size,
            hidden_size=config.hidden_size,
            num_layers=config.layers,
            bidirectional=config.bidirectional,
            dropout=config.dropout,
            batch_first=True,
            peepholes=config.peepholes,
            forget_bias=config.forget_bias,
            backend=config.backend,
        )
        self.dropout = nn.Dropout(config.dropout)

    @property
    def output_size(self) -> int:
        """Width of the outputs and of the summary."""
        return self.recurrent.output_size

    def forward(self, x_BTD: Tensor, lengths: Tensor | Sequence[int] | None = None) -> tuple[Tensor, Tensor]:
        """Read every sequence.

        Args:
            lengths: steps of each sequence where they differ; the rest is padding.

        Returns:
            `outputs_BTO` of every step, and `summary_BO`: the last layer's h after each sequence's last step, and, of a
            bidirectional layer, beside it the reverse direction's h after the first.

        Raises:
            ShapeError: sizes that do not fit, or an empty sequence.
        """
        outputs_BTO, state = self.recurrent(x_BTD, lengths=lengths)
        h_NBH = state if isinstance(state, Tensor) else state[0]
        directions = 2 if self.recurrent.bidirectional else 1
        summary_BO = torch.cat(h_NBH[-directions:].unbind(0), dim=1)
        return self.dropout(outputs_BTO), self.dropout(summary_BO)
