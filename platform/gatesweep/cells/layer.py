"""A recurrent layer with torch.nn.LSTM's conventions, for every cell.

    layer = Recurrent("peephole", input_size=8, hidden_size=64, num_layers=2, bidirectional=True)
    output, (h, c) = layer(x)

Stacked layers feed each other through dropout; a bidirectional layer runs a second set of weights over the reversed
time and sets both outputs side by side. Parameters carry torch's names (`weight_ih_l0`, `bias_hh_l1_reverse`, …), so a
vanilla layer loads torch.nn.LSTM's state_dict; cells with peepholes have `peephole_l0` besides, a learned initial state
`initial_h` and `initial_c`, and other options what `weights.ROLES` names.

Shape suffixes: T time steps, B batch, D inputs, H hidden units (of h, where it is projected, its projection), O outputs
(H times directions), N layers times directions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from gatesweep.cells import backends, dropout, sequences
from gatesweep.cells.config import RecurrentConfig
from gatesweep.cells.matrix_layer import MatrixLSTM
from gatesweep.cells.names import MATRIX_CELLS
from gatesweep.cells.options import complete, visible_states
from gatesweep.cells.parameters import Parameters
from gatesweep.cells.reference import State
from gatesweep.config.loader import build
from gatesweep.errors import ConfigError, ShapeError


class Recurrent(Parameters):
    """Layers of one cell over a sequence.

    Args:
        cell: a name of `cells.names`.
        num_layers: stacked, each reading the one below.
        batch_first: input and output are [B, T, ·]; states stay [N, B, H], as in torch.
        proj_size: torch's name for `projection_size`; 0 is none.
        options: `dropout`, `peepholes`, `backend`, …: the fields of `RecurrentConfig`, which explains each.

    Raises:
        ConfigError: unknown cell, option or back end, a value out of range, a combination that no equation gives.
        ShapeError: a size below 1.
    """

    def __new__(cls, cell: str = "vanilla", **options: Any) -> Any:
        """A `MatrixLSTM` for the cells that are run by it: one name for every layer, in code and in files."""
        if cell in MATRIX_CELLS:
            return MatrixLSTM(cell, **options)
        return super().__new__(cls)

    def __init__(
        self,
        cell: str = "vanilla",
        *,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bidirectional: bool = False,
        batch_first: bool = False,
        proj_size: int = 0,
        **options: Any,
    ) -> None:
        for what, size in (("input_size", input_size), ("hidden_size", hidden_size), ("num_layers", num_layers)):
            if size < 1:
                raise ShapeError(f"{what} is {size}, it must be at least 1")
        given = {"cell": cell, "hidden_size": hidden_size, "layers": num_layers, "bidirectional": bidirectional}
        given |= {"projection_size": proj_size} if proj_size else {}
        super().__init__(build(RecurrentConfig, given | options, place="Recurrent"), input_size)
        self.batch_first, self.dropout = batch_first, self.config.dropout
        for looped in self._looped.values():
            try:
                backends.resolve(looped, self.config.backend, self._weights("_l0"))
            except ValueError as error:
                message, _, hint = str(error).partition("\n\nhint: ")
                raise ConfigError(message, place="Recurrent", hint=hint or None) from error

    @property
    def backend(self) -> str:
        """What runs the loop: it goes by device and number type too, and in evaluation, where recurrent dropout is
        away, it may be another than in training."""
        return backends.resolve(self._looped[self.training], self.config.backend, self._weights("_l0"))

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
            state: before the first step, `(h_NBH, c_NBH)` or `h_NBH` as the cell has it; without it the learned one, or
                zeros. Of a sequence alone [N, H]; of a packed batch in the order before packing.
            lengths: steps of each sequence; the rest is padding, which changes no state and gives outputs of 0.

        Returns:
            The last layer's output, [T, B, O], or in the form of x; and the state after each sequence's last step.

        Raises:
            ShapeError: sizes that do not fit, an empty sequence, another dtype than the weights'.
        """
        dtype = self.get_parameter("weight_ih_l0").dtype
        y_TBO, lengths_B, layout = sequences.read(x, lengths, self.batch_first, self.input_size, dtype)
        states_NBH = self._initial(layout.given(state), y_TBO.shape[1])
        final: list[State] = []
        for layer in range(self.num_layers):
            in_TBD, outputs = self._dropped(y_TBO, layer), []
            for suffix in self._suffixes(layer):
                h_TBH, last = self._run(suffix, in_TBD, tuple(s_NBH[len(final)] for s_NBH in states_NBH), lengths_B)
                outputs.append(h_TBH)
                final.append(last)
            out_TBO = outputs[0] if len(outputs) == 1 else torch.cat(outputs, 2)
            y_TBO = y_TBO + out_TBO if self.config.residual and layer > 0 else out_TBO
        after = tuple(torch.stack(steps) for steps in zip(*final, strict=True))
        return layout.output(self._dropped(y_TBO, self.num_layers)), layout.state(after)

    def extra_repr(self) -> str:
        said = {"cell", "hidden_size", "layers", "bidirectional", "dropout", "peepholes", "backend"}
        changed = {name: getattr(self.config, name) for name in self.config.model_fields_set - said}
        return (f"{self.cell.name}, {self.input_size}, {self.hidden_size}, num_layers={self.num_layers}, "
                f"bidirectional={self.bidirectional}, dropout={self.dropout}, peepholes={bool(self.cell.peepholes)}, "
                f"backend={self.backend}" + "".join(f", {name}={changed[name]}" for name in sorted(changed)))

    def _dropped(self, y_TBO: Tensor, layer: int) -> Tensor:
        """What `layer` reads of y; past the last layer, what the caller reads."""
        if self.dropout > 0 and 0 < layer < self.num_layers:
            y_TBO = nn.functional.dropout(y_TBO, self.dropout, self.training)
        p = self.config.variational_dropout
        return dropout.locked(y_TBO, p) if p > 0 and self.training else y_TBO

    def _run(self, suffix: str, x_TBD: Tensor, state: State, lengths_B: Tensor | None) -> tuple[Tensor, State]:
        weights, cell = self._weights(suffix), self._looped[self.training]
        if self.config.weight_drop > 0 and self.training:
            weights = dropout.dropped(weights, self.config.weight_drop)
        like_BH = weights.input_GD.new_empty(x_TBD.shape[1], self.hidden_size)
        masks = dropout.masks(cell, self.config, len(x_TBD), like_BH, training=self.training)
        reverse, unroll = suffix.endswith("_reverse"), backends.UNROLLS[self.backend]
        x_TBD, state = sequences.reverse(x_TBD, lengths_B) if reverse else x_TBD, complete(cell, state, masks)
        if self.backend == "torch":
            h_TBH, last = unroll(cell, x_TBD, state, weights, lengths_B)
        else:  # autocast would cast inside the time loop: these loops keep the weights' precision
            with torch.autocast(x_TBD.device.type, enabled=False):
                h_TBH, last = unroll(cell, x_TBD.to(weights.input_GD.dtype), state, weights, lengths_B, masks)
        h_TBH = sequences.reverse(h_TBH, lengths_B) if reverse else h_TBH
        return h_TBH, last[: len(visible_states(cell))]
