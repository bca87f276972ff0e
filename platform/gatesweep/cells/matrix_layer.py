"""Layers of mLSTM with torch.nn.LSTM's conventions: `Recurrent`'s counterpart for a memory that is a matrix.

    layer = MatrixLSTM(input_size=8, hidden_size=64, heads=4, num_layers=2)        # = Recurrent("mlstm", …)
    output, (C, n, m) = layer(x)

Parameters carry torch's names as far as there are such: `weight_ih_l0`, `bias_ih_l0`, with rows in the order of
`matrix.GATES`; nothing is recurrent, so there is no `weight_hh`.

Shape suffixes: T time steps, B batch, D inputs, H hidden units, O outputs (H times directions), N layers times
directions, E units of a head, V units of a value.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from gatesweep.cells import sequences
from gatesweep.cells.chunkwise import chunkwise
from gatesweep.cells.matrix import GATES, STATES, Memory, project, rows, sequential
from gatesweep.cells.reference import State
from gatesweep.cells.stacked import Stacked, configured
from gatesweep.errors import ShapeError

_FORMS = {"parallel": chunkwise, "reference": sequential}


class MatrixLSTM(Stacked):
    """Layers of mLSTM over a sequence. Its state is C [N, B, heads, V, E], n [N, B, heads, E] and m [N, B, heads].

    Args:
        batch_first: input and output are [B, T, ·].
        options: `num_layers`, `bidirectional`, `heads`, `dropout`, …: those fields of `RecurrentConfig` that mlstm has.

    Raises:
        ConfigError: an option that it does not have, a value out of range, heads that do not divide the hidden units.
        ShapeError: a size below 1.
    """

    def __init__(
        self,
        cell: str = "mlstm",
        *,
        input_size: int,
        hidden_size: int,
        batch_first: bool = False,
        **options: Any,
    ) -> None:
        config = configured(cell, input_size, hidden_size, **options)
        super().__init__(config, input_size, batch_first)
        self.backend = "parallel" if config.backend == "auto" else config.backend
        self.heads = config.heads
        count = sum(rows(hidden_size, self.heads))
        for layer in range(self.num_layers):
            for suffix in self._suffixes(layer):
                size = input_size if layer == 0 else self.output_size
                self.register_parameter(f"weight_ih{suffix}", nn.Parameter(torch.empty(count, size)))
                self.register_parameter(f"bias_ih{suffix}", nn.Parameter(torch.empty(count)))
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Uniform(-1/√H, 1/√H) from torch's generator; then the forget gates' biases at `forget_bias`."""
        bound = 1 / math.sqrt(self.hidden_size)
        for p in self.parameters():
            p.uniform_(-bound, bound)
        for layer in range(self.num_layers):
            for reverse in range(self.directions):
                self.gate_parameters(layer, reverse=bool(reverse))["bias"]["f"].fill_(self.config.forget_bias)

    def gate_parameters(self, layer: int = 0, *, reverse: bool = False) -> dict[str, dict[str, Tensor]]:
        """One layer's parameters by gate: `input` ([H, D], of i and f [heads, D]) and `bias` ([H], [heads]): views;
        `recurrent` and `peephole` are empty.

        Raises:
            ShapeError: no such layer or direction.
        """
        suffix, sizes = self._suffix(layer, reverse), rows(self.hidden_size, self.heads)
        input_, bias = (
            dict(zip(GATES, torch.split(self.get_parameter(name + suffix), sizes), strict=True))
            for name in ("weight_ih", "bias_ih")
        )
        return {"input": input_, "recurrent": {}, "bias": bias, "peephole": {}}

    def extra_repr(self) -> str:
        return (f"{self.input_size}, {self.hidden_size}, heads={self.heads}, num_layers={self.num_layers}, "
                f"bidirectional={self.bidirectional}, dropout={self.dropout}, backend={self.backend}")

    def _initial(self, given: Tensor | State | None, B: int, layout: sequences.Layout) -> State:
        alone = layout.alone
        E, lead = self.hidden_size // self.heads, (self.num_layers * self.directions, B, self.heads)
        sizes = (*lead, E, E), (*lead, E), lead
        if given is None:
            return tuple(self.get_parameter("weight_ih_l0").new_zeros(size) for size in sizes)
        if len(given) != len(STATES):
            raise ShapeError(f"the state has {len(given)} tensors, mlstm carries {len(STATES)}: {', '.join(STATES)}")
        for name, tensor, size in zip(STATES, given, sizes, strict=True):
            expected = [n for k, n in enumerate(size) if not (alone and k == 1)]
            if list(tensor.shape) != expected:
                raise ShapeError(f"initial {name} is {list(tensor.shape)}, expected {expected} (layers * directions, "
                                 f"{'' if alone else 'batch, '}heads, units of a head)")
        return tuple(s.unsqueeze(1) if alone else s for s in given)

    def _run(self, suffix: str, x_TBD: Tensor, state: State, lengths_B: Tensor | None) -> tuple[Tensor, State]:
        weight_RD, bias_R = self.get_parameter(f"weight_ih{suffix}"), self.get_parameter(f"bias_ih{suffix}")
        reverse = suffix.endswith("_reverse")
        x_TBD = sequences.reverse(x_TBD, lengths_B) if reverse else x_TBD
        with torch.autocast(x_TBD.device.type, enabled=False):  # the memory keeps the weights' precision
            inputs, o_TBH = project(x_TBD.to(weight_RD.dtype), weight_RD, bias_R, self.heads)
            read_TBNV, after = _FORMS[self.backend](inputs, Memory(*state), lengths_B)
        h_TBH = o_TBH * read_TBNV.flatten(2)
        return sequences.reverse(h_TBH, lengths_B) if reverse else h_TBH, after
