"""A recurrent layer with torch.nn.LSTM's conventions, for every cell.

    layer = Recurrent("peephole", input_size=8, hidden_size=64, num_layers=2, bidirectional=True)
    output, (h, c) = layer(x)

Parameters carry torch's names (`weight_ih_l0`, `bias_hh_l1_reverse`, …), so a
vanilla layer loads torch.nn.LSTM's state_dict; cells with peepholes have `peephole_l0` besides, a learned initial state
`initial_h` and `initial_c`, and other options what `weights.ROLES` names.

Shape suffixes: T time steps, B batch, D inputs, H hidden units (of h, where it is projected, its projection), O outputs
(H times directions), N layers times directions.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gatesweep.cells import backends, dropout, sequences
from gatesweep.cells.matrix_layer import MatrixLSTM
from gatesweep.cells.names import MATRIX_CELLS, parted
from gatesweep.cells.options import complete, visible_states
from gatesweep.cells.parameters import Parameters
from gatesweep.cells.reference import State
from gatesweep.cells.stacked import configured
from gatesweep.errors import ConfigError


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
        options = ({"projection_size": proj_size} if proj_size else {}) | options
        config = configured(cell, input_size, hidden_size, num_layers, bidirectional, **options)
        super().__init__(config, input_size, batch_first)
        for looped in self._looped.values():
            try:
                backends.resolve(looped, self.config.backend, self._weights("_l0"))
            except ValueError as error:
                message, hint = parted(error)
                raise ConfigError(message, place="Recurrent", hint=hint) from error

    @property
    def backend(self) -> str:
        """What runs the loop: it goes by device and number type too, and in evaluation, where recurrent dropout is
        away, it may be another than in training."""
        return backends.resolve(self._looped[self.training], self.config.backend, self._weights("_l0"))

    def extra_repr(self) -> str:
        said = {"cell", "hidden_size", "layers", "bidirectional", "dropout", "peepholes", "backend"}
        changed = {name: getattr(self.config, name) for name in self.config.model_fields_set - said}
        return (f"{self.cell.name}, {self.input_size}, {self.hidden_size}, num_layers={self.num_layers}, "
                f"bidirectional={self.bidirectional}, dropout={self.dropout}, peepholes={bool(self.cell.peepholes)}, "
                f"backend={self.backend}" + "".join(f", {name}={changed[name]}" for name in sorted(changed)))

    def _run(self, suffix: str, x_TBD: Tensor, state: State, lengths_B: Tensor | None) -> tuple[Tensor, State]:
        weights, cell = self._weights(suffix), self._looped[self.training]
        backend = backends.resolve(cell, self.config.backend, weights)  # as self.backend, which reads weights again
        if self.config.weight_drop > 0 and self.training:
            weights = dropout.dropped(weights, self.config.weight_drop)
        like_BH = weights.input_GD.new_empty(x_TBD.shape[1], self.hidden_size)
        masks = dropout.masks(cell, self.config, len(x_TBD), like_BH, training=self.training)
        reverse, unroll = suffix.endswith("_reverse"), backends.UNROLLS[backend]
        x_TBD, state = sequences.reverse(x_TBD, lengths_B) if reverse else x_TBD, complete(cell, state, masks)
        if backend == "torch":
            h_TBH, last = unroll(cell, x_TBD, state, weights, lengths_B)
        else:  # autocast would cast inside the time loop: these loops keep the weights' precision
            with torch.autocast(x_TBD.device.type, enabled=False):
                h_TBH, last = unroll(cell, x_TBD.to(weights.input_GD.dtype), state, weights, lengths_B, masks)
        h_TBH = sequences.reverse(h_TBH, lengths_B) if reverse else h_TBH
        return h_TBH, last[: len(visible_states(cell))]
