"""A convolution over time that keeps a sequence's length, and carries the steps that its next part will need.

    y_t = b + Σ_j W_j x_(t - (k - 1 - j) d)            causal: k taps, d steps apart, the last on the present

Not causal, the taps stand around t: (k - 1) d / 2 steps on either side, the odd one before. Outside of a sequence x is
0.

Shape suffixes: T time steps, B batch, C channels in, A channels out, P past steps, (k - 1) d.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from gatesweep.models import padding


class Convolution(nn.Module):
    """One convolution, `torch.nn.Conv1d` within.

    Args:
        groups: of channels that see their own group alone.
        normalised: whether each output channel's weights are a length and a direction (Salimans & Kingma 2016, "Weight
            normalization").
    """

    def __init__(
        self, inputs: int, outputs: int, kernel_size: int, *, dilation: int = 1, groups: int = 1, causal: bool = True,
        normalised: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.causal, self.past, self.inputs = causal, (kernel_size - 1) * dilation, inputs
        self.convolution = nn.Conv1d(inputs, outputs, kernel_size, dilation=dilation, groups=groups)
        self.length_A11 = nn.Parameter(_length(self.convolution.weight.detach())) if normalised else None

    def forward(
        self, x_BCT: Tensor, lengths_B: Tensor | None = None, past_BCP: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Convolve.

        Args:
            x_BCT: padded steps must be 0, unless it is causal.
            past_BCP: the steps before; zeros where a sequence begins. For a causal convolution alone.

        Returns:
            y [B, A, T], and the past of the steps to come, [B, C, P].
        """
        if not self.causal:
            after = self.past // 2
            return self._convolved(functional.pad(x_BCT, (self.past - after, after))), x_BCT[..., :0]
        all_BCS = functional.pad(x_BCT, (self.past, 0)) if past_BCP is None else torch.cat([past_BCP, x_BCT], 2)
        return self._convolved(all_BCS), padding.tail(all_BCS, self.past, 2, self.past, lengths_B)

    def state_size(self, B: int) -> tuple[int, int, int]:
        """[B, C, P]."""
        return B, self.inputs, self.past

    def _convolved(self, x_BCS: Tensor) -> Tensor:
        """Weight norm is written out: a module that torch parametrizes cannot be pickled."""
        one, weight_ACK = self.convolution, self.convolution.weight
        if self.length_A11 is not None:
            weight_ACK = self.length_A11 * weight_ACK / _length(weight_ACK)
        return functional.conv1d(x_BCS, weight_ACK, one.bias, dilation=one.dilation, groups=one.groups)


def _length(weight_ACK: Tensor) -> Tensor:
    return torch.linalg.vector_norm(weight_ACK, dim=(1, 2), keepdim=True)
