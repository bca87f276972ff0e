"""What an encoder is: a sequence in; its outputs, one summary vector per sequence and the state to go on with out.

Shape suffixes: T time steps, B batch, D inputs, O outputs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn


class Encoded(NamedTuple):
    """What every encoder returns."""

    outputs_BTO: Tensor
    """One of every step; of padded steps it means nothing."""

    summary_BO: Tensor
    """One of every sequence."""

    state: Any = None
    """None, or tensors in nested tuples: given back with the next piece of the same sequences, it goes on there."""


class Encoder(nn.Module, ABC):
    """One family of models over sequences."""

    @property
    @abstractmethod
    def output_size(self) -> int:
        """Width of the outputs and of the summary."""

    @abstractmethod
    def forward(self, x_BTD: Tensor, lengths: Tensor | Sequence[int] | None = None, state: Any = None) -> Encoded:
        """Read every sequence.

        Args:
            lengths: steps of each sequence where they differ; the rest is padding.
            state: where an earlier piece of the same sequences ended; none starts anew.

        Raises:
            ShapeError: sizes that do not fit, or an empty sequence.
        """


def detached(state: Any) -> Any:
    """The same numbers, cut off from the steps that made them: truncated backpropagation through time."""
    if isinstance(state, Tensor):
        return state.detach()
    return tuple(detached(each) for each in state) if isinstance(state, tuple) else state
