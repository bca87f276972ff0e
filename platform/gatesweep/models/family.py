"""What the families of encoders share: what comes is checked, padding is kept out, what leaves is dropped out.

Shape suffixes: T time steps, B batch, D inputs, O outputs.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from gatesweep.errors import ShapeError
from gatesweep.models import padding
from gatesweep.models.encoder import Encoded, Encoder


class Family(Encoder):
    """An encoder of `input_size` features; a subclass says what lies between input and output.

    Outputs are 0 where a step is padding.
    """

    def __init__(self, input_size: int, output_size: int, dropout: float) -> None:
        super().__init__()
        self.input_size, self._output_size = input_size, output_size
        self.dropout = nn.Dropout(dropout)

    @property
    def output_size(self) -> int:
        return self._output_size

    def forward(self, x_BTD: Tensor, lengths: Tensor | Sequence[int] | None = None, state: Any = None) -> Encoded:
        """See `Encoder.forward`.

        Raises:
            ShapeError: besides, a state of another encoder, or one where there is none to go on with.
        """
        x_BTD, lengths_B = padding.read(x_BTD, lengths, self.input_size, next(self.parameters()).dtype)
        if state is not None:
            self._check(state, len(x_BTD))
        outputs_BTO, summary_BO, after = self._encode(x_BTD, lengths_B, state)
        outputs_BTO = padding.zeroed(outputs_BTO, lengths_B)
        return Encoded(self.dropout(outputs_BTO), self.dropout(summary_BO), after)

    @abstractmethod
    def state_flops(self, length: int) -> float:
        """Operations of a step on what is remembered, no weight taking part: the mean over `length` steps of a sequence
        (a multiplication is one, an addition too)."""

    @abstractmethod
    def _encode(self, x_BTD: Tensor, lengths_B: Tensor | None, state: Any) -> Encoded:
        """Outputs (of padded steps, any numbers), summary, and the state afterwards; no dropout on what leaves."""

    def _state_sizes(self, B: int) -> Any:
        """Sizes of the state's tensors, nested as it is: None for a part that checks itself, -1 for any number; None
        itself where there is no state."""
        return None

    def _check(self, state: Any, B: int) -> None:
        expected = self._state_sizes(B)
        if expected is None:
            raise ShapeError(f"{type(self).__name__} looks both ways along a sequence: there is no state to go on with",
                             hint="leave `state` out, or build the encoder with causal=True")  # fmt: skip
        padding.check_state(state, expected, type(self).__name__)
