"""Two encoders side by side, one of which reads the sequences backwards.

Shape suffixes: T time steps, B batch, D inputs, O outputs of both.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import torch
from torch import Tensor, nn

from gatesweep.cells.sequences import reverse
from gatesweep.models.encoder import Encoded
from gatesweep.models.family import Family


class BothWays(Family):
    """Outputs and summaries side by side; each direction drops out for itself. There is no state: the end of a sequence
    comes first for one of the two."""

    def __init__(self, forwards: Family, backwards: Family) -> None:
        super().__init__(forwards.input_size, forwards.output_size + backwards.output_size, 0.0)
        self.ways = nn.ModuleList([forwards, backwards])

    def state_flops(self, length: int) -> float:
        return sum(way.state_flops(length) for way in cast("Iterable[Family]", self.ways))

    def _encode(self, x_BTD: Tensor, lengths_B: Tensor | None, state: Any) -> Encoded:
        forwards, backwards = self.ways
        there, back = forwards(x_BTD, lengths_B), backwards(_reversed(x_BTD, lengths_B), lengths_B)
        return Encoded(torch.cat([there.outputs_BTO, _reversed(back.outputs_BTO, lengths_B)], 2),
                       torch.cat([there.summary_BO, back.summary_BO], 1), None)


def _reversed(x_BTD: Tensor, lengths_B: Tensor | None) -> Tensor:
    return reverse(x_BTD.transpose(0, 1), lengths_B).transpose(0, 1)
