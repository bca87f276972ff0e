"""Layers over a sequence, whatever runs in them: stacked, in one direction or two, dropout and residuals between them.

A second direction is a second set of weights over the reversed time; both outputs stand side by side. `parameters.py`
builds on this for cells that a `Cell` describes, `matrix_layer.py` for mLSTM.

Shape suffixes: T time steps, B batch, D inputs, H hidden units (of h, where it is projected, its projection), O outputs
(H times directions), N layers times directions.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, overload

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from gatesweep.cells import sequences
from gatesweep.cells.config import RecurrentConfig
from gatesweep.cells.dropout import locked
from gatesweep.cells.reference import State
from gatesweep.config.loader import build
from gatesweep.errors import ShapeError


class Stacked(nn.Module, ABC):
    """What every recurrent layer is. A parameter's name is its role, the layer and the direction: `bias_ih_l1_reverse`.

    A subclass registers the parameters, `weight_ih_l0` among them, and says what a layer computes (`_initial`, `_run`).
    """

    def __init__(self, config: RecurrentConfig, input_size: int, batch_first: bool = False) -> None:
        super().__init__()
        self.config, self.input_size, self.batch_first = config, input_size, batch_first
        self.hidden_size, self.num_layers, self.dropout = config.hidden_size, config.layers, config.dropout
        self.bidirectional = config.bidirectional

    @property
    def directions(self) -> int:
        """2 where a second set of weights reads backwards, else 1."""
        return 2 if self.bidirectional else 1

    @property
    def output_size(self) -> int:
        """Width of the output: the hidden units of every direction."""
        return self.hidden_size * self.directions

    @overload
    def forward(
        self, x: Tensor, state: Tensor | State | None = None, lengths: Tensor | Sequence[int] | None = None
    ) -> tuple[Tensor, Tensor | State]: ...
    @overload
    def forward(
        self, x: PackedSequence, state: Tensor | State | None = None
    ) -> tuple[PackedSequence, Tensor | State]: ...
    def forward(
        self,
        x: Tensor | PackedSequence,
        state: Tensor | State | None = None,
        lengths: Tensor | Sequence[int] | None = None,
    ) -> tuple[Tensor | PackedSequence, Tensor | State]:
        """Run every layer over every time step.

        Args:
            x: [T, B, D], or [B, T, D] with `batch_first`; one sequence alone, [T, D]; or packed.
            state: before the first step, `(h_NBH, c_NBH)` or `h_NBH` as the cell has it (`MatrixLSTM` has its own);
                without it the learned one, or zeros. Of a sequence alone [N, H]; of a packed batch in the order before
                packing.
            lengths: steps of each sequence; the rest is padding, which changes no state and gives outputs of 0.

        Returns:
            The last layer's output, [T, B, O], or in the form of x; and the state after each sequence's last step.

        Raises:
            ShapeError: sizes that do not fit, an empty sequence, another dtype than the weights'.
        """
        dtype = self.get_parameter("weight_ih_l0").dtype
        y_TBO, lengths_B, layout = sequences.read(x, lengths, self.batch_first, self.input_size, dtype)
        before = self._initial(state, y_TBO.shape[1], layout)
        final: list[State] = []
        for layer in range(self.num_layers):
            in_TBD, outputs = self._dropped(y_TBO, layer), []
            for suffix in self._suffixes(layer):
                h_TBH, last = self._run(suffix, in_TBD, tuple(s[len(final)] for s in before), lengths_B)
                outputs.append(h_TBH)
                final.append(last)
            out_TBO = outputs[0] if len(outputs) == 1 else torch.cat(outputs, 2)
            y_TBO = y_TBO + out_TBO if self.config.residual and layer > 0 else out_TBO
        after = tuple(torch.stack(steps) for steps in zip(*final, strict=True))
        return layout.output(self._dropped(y_TBO, self.num_layers)), layout.state(after)

    @abstractmethod
    def _initial(self, given: Tensor | State | None, B: int, layout: sequences.Layout) -> State:
        """States before the first step, [N, B, …] each."""

    @abstractmethod
    def _run(self, suffix: str, x_TBD: Tensor, state: State, lengths_B: Tensor | None) -> tuple[Tensor, State]:
        """One layer in one direction: its output in the order of x, and its state afterwards."""

    def _dropped(self, y_TBO: Tensor, layer: int) -> Tensor:
        """What `layer` reads of y; past the last layer, what the caller reads."""
        if self.dropout > 0 and 0 < layer < self.num_layers:
            y_TBO = nn.functional.dropout(y_TBO, self.dropout, self.training)
        p = self.config.variational_dropout
        return locked(y_TBO, p) if p > 0 and self.training else y_TBO

    def _suffixes(self, layer: int) -> tuple[str, ...]:
        return (f"_l{layer}", f"_l{layer}_reverse")[: self.directions]

    def _suffix(self, layer: int, reverse: bool) -> str:
        """How the names of one layer's parameters end.

        Raises:
            ShapeError: no such layer or direction.
        """
        if not 0 <= layer < self.num_layers or (reverse and not self.bidirectional):
            raise ShapeError(f"no layer {layer}{', reversed' if reverse else ''}: this has {self.num_layers} "
                             f"{'in two directions' if self.bidirectional else 'in one direction'}")
        return self._suffixes(layer)[int(reverse)]


def configured(
    cell: str, input_size: int, hidden_size: int, num_layers: int = 1, bidirectional: bool = False, **options: Any
) -> RecurrentConfig:
    """A layer's arguments, checked; `options`: further fields of `RecurrentConfig`.

    Raises:
        ConfigError: unknown cell or option, a value out of range, a combination that no equation gives.
        ShapeError: a size below 1.
    """
    for what, size in (("input_size", input_size), ("hidden_size", hidden_size), ("num_layers", num_layers)):
        if size < 1:
            raise ShapeError(f"{what} is {size}, it must be at least 1")
    given = {"cell": cell, "hidden_size": hidden_size, "layers": num_layers, "bidirectional": bidirectional}
    return build(RecurrentConfig, given | options, place="Recurrent")
