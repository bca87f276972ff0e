"""A temporal convolutional network: residual blocks of dilated convolutions (Bai, Kolter & Koltun 2018, "An empirical
evaluation of generic convolutional and recurrent networks for sequence modeling", section 3 and figure 1).

    x <- relu(R x + F(x))      F: twice (convolution with weight norm, relu, dropout), taps 2^l steps apart in block l
                               R: the identity; in the first block a matrix, where inputs and hidden units differ
    outputs = x                summary = outputs of the last step

A step sees 1 + 2 (k - 1) (2^layers - 1) steps: itself and those before it if causal, else half on either side. Causal,
the state is what each convolution has still to see, so that parts of a sequence give what the whole gives.

Shape suffixes: T time steps, B batch, D inputs, C channels: inputs or hidden units, P past steps.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from torch import Tensor, nn
from torch.nn import functional

from gatesweep.models import padding
from gatesweep.models.config import ModelConfig
from gatesweep.models.convolution import Convolution
from gatesweep.models.encoder import Encoded
from gatesweep.models.family import Family

KERNEL_SIZE = 3


class TemporalBlock(nn.Module):
    """One residual block."""

    def __init__(
        self, inputs: int, width: int, kernel_size: int, dilation: int, *, causal: bool, dropout: float
    ) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(
            Convolution(size, width, kernel_size, dilation=dilation, causal=causal, normalised=True)
            for size in (inputs, width)
        )
        self.dropout = nn.Dropout(dropout)
        self.shortcut = nn.Conv1d(inputs, width, 1) if inputs != width else nn.Identity()

    def forward(
        self, x_BCT: Tensor, lengths_B: Tensor | None, pasts: tuple[Tensor | None, ...]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The block's output, 0 where a step is padding, and what each convolution carries."""
        y_BCT, after = x_BCT, []
        for convolution, past_BCP in zip(self.convolutions, pasts, strict=True):
            y_BCT, carried_BCP = convolution(y_BCT, lengths_B, past_BCP)
            y_BCT = _zeroed(self.dropout(functional.relu(y_BCT)), lengths_B)
            after.append(carried_BCP)
        return _zeroed(functional.relu(y_BCT + self.shortcut(x_BCT)), lengths_B), tuple(after)

    def state_sizes(self, B: int) -> tuple[tuple[int, int, int], ...]:
        """Of what each convolution carries."""
        return tuple(c.state_size(B) for c in cast("Iterable[Convolution]", self.convolutions))


class TemporalConvolution(Family):
    """`layers` blocks; causal, its state is `(past_BCP of each convolution) of each block`."""

    def __init__(self, config: ModelConfig, input_size: int, *, causal: bool = False) -> None:
        width, kernel_size = config.hidden_size, config.kernel_size or KERNEL_SIZE
        super().__init__(input_size, width, config.dropout)
        self.causal = causal
        self.blocks = nn.ModuleList(
            TemporalBlock(width if level else input_size, width, kernel_size, 2**level, causal=causal,
                          dropout=config.dropout)
            for level in range(config.layers)
        )  # fmt: skip

    def state_flops(self, length: int) -> float:
        """None: every product has a weight in it."""
        return 0.0

    def _state_sizes(self, B: int) -> Any:
        if not self.causal:
            return None
        return tuple(block.state_sizes(B) for block in cast("Iterable[TemporalBlock]", self.blocks))

    def _encode(self, x_BTD: Tensor, lengths_B: Tensor | None, state: Any) -> Encoded:
        x_BCT, after = x_BTD.transpose(1, 2), []
        for block, pasts in zip(self.blocks, state or [(None, None)] * len(self.blocks), strict=True):
            x_BCT, carried = block(x_BCT, lengths_B, pasts)
            after.append(carried)
        outputs_BTC = x_BCT.transpose(1, 2)
        return Encoded(outputs_BTC, padding.last(outputs_BTC, lengths_B), tuple(after) if self.causal else None)


def _zeroed(x_BCT: Tensor, lengths_B: Tensor | None) -> Tensor:
    return x_BCT if lengths_B is None else padding.zeroed(x_BCT.transpose(1, 2), lengths_B).transpose(1, 2)
