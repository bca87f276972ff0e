"""A recurrent encoder: a sequence in, its outputs and one summary vector per sequence out.

Shape suffixes: T time steps, B batch, D inputs, O outputs (hidden units times directions).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gatesweep.cells.layer import Recurrent
from gatesweep.models.config import ModelConfig
from gatesweep.models.encoder import Encoded, Encoder


class RecurrentEncoder(Encoder):
    """The recurrent layers of a configuration, with dropout on what leaves the last one."""

    def __init__(self, config: ModelConfig, input_size: int) -> None:
        super().__init__()
        self.recurrent = Recurrent(input_size=input_size, batch_first=True, **config.arguments())
        self.dropout = nn.Dropout(config.dropout)

    @property
    def output_size(self) -> int:
        """Width of the outputs and of the summary."""
        return self.recurrent.output_size

    def forward(self, x_BTD: Tensor, lengths: Tensor | Sequence[int] | None = None, state: Any = None) -> Encoded:
        """See `Encoder.forward`.

        Returns:
            The outputs; as summary the last layer's output at each sequence's last step, and, of a bidirectional layer,
            beside it the reverse direction's at the first; the layers' state after it.
        """
        outputs_BTO, last = self.recurrent(x_BTD, state, lengths=lengths)
        return Encoded(self.dropout(outputs_BTO), self.dropout(self._summary(outputs_BTO, lengths)), last)

    def _summary(self, outputs_BTO: Tensor, lengths: Tensor | Sequence[int] | None) -> Tensor:
        """Taken from the outputs, not from the state: residual connections and dropout are in the outputs alone."""
        if lengths is None:
            last_BO = outputs_BTO[:, -1]
        else:
            lengths_B = torch.as_tensor(lengths, device=outputs_BTO.device)
            last_BO = outputs_BTO[torch.arange(len(outputs_BTO), device=outputs_BTO.device), lengths_B - 1]
        if not self.recurrent.bidirectional:
            return last_BO
        one_way = self.output_size // 2
        return torch.cat([last_BO[:, :one_way], outputs_BTO[:, 0, one_way:]], dim=1)
