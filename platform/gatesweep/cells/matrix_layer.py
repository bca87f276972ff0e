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
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from gatesweep.cells import sequences
from gatesweep.cells.chunkwise import chunkwise
from gatesweep.cells.config import RecurrentConfig
from gatesweep.cells.dropout import locked
from gatesweep.cells.matrix import GATES, STATES, Memory, project, rows, sequential
from gatesweep.config.loader import build
from gatesweep.errors import ShapeError

_FORMS = {"parallel": chunkwise, "reference": sequential}


class MatrixLSTM(nn.Module):
    """Layers of mLSTM over a sequence.

    Args:
        num_layers: stacked, each reading the one below.
        batch_first: input and output are [B, T, ·].
        options: `heads`, `dropout`, `backend`, …: those fields of `RecurrentConfig` that mlstm has.

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
        num_layers: int = 1,
        bidirectional: bool = False,
        batch_first: bool = False,
        **options: Any,
    ) -> None:
        super().__init__()
        for what, size in (("input_size", input_size), ("hidden_size", hidden_size), ("num_layers", num_layers)):
            if size < 1:
                raise ShapeError(f"{what} is {size}, it must be at least 1")
        given = {"cell": cell, "hidden_size": hidden_size, "layers": num_layers, "bidirectional": bidirectional}
        self.config = build(RecurrentConfig, given | options, place="Recurrent")
        self.backend = "parallel" if self.config.backend == "auto" else self.config.backend
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bidirectional, self.batch_first, self.dropout = bidirectional, batch_first, self.config.dropout
        self.heads = self.config.heads
        count = sum(rows(hidden_size, self.heads))
        for layer in range(num_layers):
            for suffix in self._suffixes(layer):
                size = input_size if layer == 0 else self.output_size
                self.register_parameter(f"weight_ih{suffix}", nn.Parameter(torch.empty(count, size)))
                self.register_parameter(f"bias_ih{suffix}", nn.Parameter(torch.empty(count)))
        self.reset_parameters()

    @property
    def directions(self) -> int:
        """2 where a second set of weights reads backwards, else 1."""
        return 2 if self.bidirectional else 1

    @property
    def output_size(self) -> int:
        """Width of the output: the hidden units of every direction."""
        return self.hidden_size * self.directions

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Uniform(-1/√H, 1/√H) from torch's generator; then the forget gates' biases at `forget_bias`."""
        bound = 1 / math.sqrt(self.hidden_size)
        for p in self.parameters():
            p.uniform_(-bound, bound)
        for layer in range(self.num_layers):
            for reverse in range(self.directions):
                self.gate_parameters(layer, reverse=bool(reverse))["bias"]["f"].fill_(self.config.forget_bias)

    def forward(
        self,
        x: Tensor | PackedSequence,
        state: tuple[Tensor, ...] | None = None,
        lengths: Tensor | Sequence[int] | None = None,
    ) -> tuple[Tensor | PackedSequence, tuple[Tensor, ...]]:
        """Run every layer over every time step.

        Args:
            x: [T, B, D], or [B, T, D] with `batch_first`; one sequence alone, [T, D]; or packed.
            state: before the first step, C [N, B, heads, V, E], n [N, B, heads, E] and m [N, B, heads]; zeros if None.
                Of a sequence alone without B; of a packed batch in the order before packing.
            lengths: steps of each sequence; the rest is padding, which changes no state and gives outputs of 0.

        Returns:
            The last layer's output, [T, B, O], or in the form of x; and the state after each sequence's last step.

        Raises:
            ShapeError: sizes that do not fit, an empty sequence, another dtype than the weights'.
        """
        dtype = self.get_parameter("weight_ih_l0").dtype
        y_TBO, lengths_B, layout = sequences.read(x, lengths, self.batch_first, self.input_size, dtype)
        before = self._initial(state, y_TBO.shape[1], layout.alone)
        final: list[Memory] = []
        for layer in range(self.num_layers):
            in_TBD, outputs = self._dropped(y_TBO, layer), []
            for suffix in self._suffixes(layer):
                h_TBH, last = self._run(suffix, in_TBD, Memory(*(s[len(final)] for s in before)), lengths_B)
                outputs.append(h_TBH)
                final.append(last)
            out_TBO = outputs[0] if len(outputs) == 1 else torch.cat(outputs, 2)
            y_TBO = y_TBO + out_TBO if self.config.residual and layer > 0 else out_TBO
        after = tuple(torch.stack(parts) for parts in zip(*final, strict=True))
        if layout.alone:
            after = tuple(s.squeeze(1) for s in after)
        return layout.output(self._dropped(y_TBO, self.num_layers)), after

    def gate_parameters(self, layer: int = 0, *, reverse: bool = False) -> dict[str, dict[str, Tensor]]:
        """One layer's parameters by gate: `input` ([H, D], of i and f [heads, D]) and `bias` ([H], [heads]): views;
        `recurrent` and `peephole` are empty.

        Raises:
            ShapeError: no such layer or direction.
        """
        if not 0 <= layer < self.num_layers or (reverse and not self.bidirectional):
            raise ShapeError(f"no layer {layer}{', reversed' if reverse else ''}: this has {self.num_layers} "
                             f"{'in two directions' if self.bidirectional else 'in one direction'}")
        suffix, sizes = self._suffixes(layer)[int(reverse)], rows(self.hidden_size, self.heads)
        input_, bias = (
            dict(zip(GATES, torch.split(self.get_parameter(name + suffix), sizes), strict=True))
            for name in ("weight_ih", "bias_ih")
        )
        return {"input": input_, "recurrent": {}, "bias": bias, "peephole": {}}

    def extra_repr(self) -> str:
        return (f"{self.input_size}, {self.hidden_size}, heads={self.heads}, num_layers={self.num_layers}, "
                f"bidirectional={self.bidirectional}, dropout={self.dropout}, backend={self.backend}")

    def _suffixes(self, layer: int) -> tuple[str, ...]:
        return (f"_l{layer}", f"_l{layer}_reverse")[: self.directions]

    def _dropped(self, y_TBO: Tensor, layer: int) -> Tensor:
        """What `layer` reads of y; past the last layer, what the caller reads."""
        if self.dropout > 0 and 0 < layer < self.num_layers:
            y_TBO = nn.functional.dropout(y_TBO, self.dropout, self.training)
        p = self.config.variational_dropout
        return locked(y_TBO, p) if p > 0 and self.training else y_TBO

    def _initial(self, given: tuple[Tensor, ...] | None, B: int, alone: bool) -> tuple[Tensor, ...]:
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
        return tuple(s.unsqueeze(1) for s in given) if alone else given

    def _run(self, suffix: str, x_TBD: Tensor, memory: Memory, lengths_B: Tensor | None) -> tuple[Tensor, Memory]:
        weight_RD, bias_R = self.get_parameter(f"weight_ih{suffix}"), self.get_parameter(f"bias_ih{suffix}")
        reverse = suffix.endswith("_reverse")
        x_TBD = sequences.reverse(x_TBD, lengths_B) if reverse else x_TBD
        with torch.autocast(x_TBD.device.type, enabled=False):  # the memory keeps the weights' precision
            inputs, o_TBH = project(x_TBD.to(weight_RD.dtype), weight_RD, bias_R, self.heads)
            read_TBNV, after = _FORMS[self.backend](inputs, memory, lengths_B)
        h_TBH = o_TBH * read_TBNV.flatten(2)
        return sequences.reverse(h_TBH, lengths_B) if reverse else h_TBH, after
