"""A recurrent layer with torch.nn.LSTM's conventions, for every cell.

    layer = Recurrent("peephole", input_size=8, hidden_size=64, num_layers=2, bidirectional=True)
    output, (h, c) = layer(x)

Stacked layers feed each other through dropout; a bidirectional layer runs a second set of weights over the reversed
time and sets both outputs side by side. Parameters carry torch's names (`weight_ih_l0`, `bias_hh_l1_reverse`, …), so a
vanilla layer loads torch.nn.LSTM's state_dict; cells with peepholes have `peephole_l0` besides.

Shape suffixes: T time steps, B batch, D inputs, H hidden units, O outputs (H times directions), N layers times
directions.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gatesweep.cells import backends
from gatesweep.cells.checks import check_input, check_lengths, check_state
from gatesweep.cells.description import RECURRENT
from gatesweep.cells.reference import State
from gatesweep.cells.variants import find
from gatesweep.cells.weights import Weights, initialise, shapes
from gatesweep.errors import ConfigError, ShapeError

_ROLES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "peephole")


class Recurrent(nn.Module):
    """Layers of one cell over a sequence.

    Args:
        cell: a name of `cells.names`.
        num_layers: stacked, each reading the one below.
        dropout: probability of zeroing each value between layers, not after the last.
        batch_first: input and output are [B, T, ·]; states stay [N, B, H], as in torch.
        peepholes: add or take away the peepholes of an LSTM; None leaves the cell as its name says.
        forget_bias: what the forget gates' bias starts at.
        backend: a name of `cells.backends`.

    Raises:
        ConfigError: unknown cell or back end, dropout outside [0, 1), or a combination that no equation gives.
        ShapeError: a size below 1.
    """

    def __init__(
        self,
        cell: str = "vanilla",
        *,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        batch_first: bool = False,
        peepholes: bool | None = None,
        forget_bias: float = 1.0,
        backend: str = "auto",
    ) -> None:
        super().__init__()
        for what, size in (("input_size", input_size), ("hidden_size", hidden_size), ("num_layers", num_layers)):
            if size < 1:
                raise ShapeError(f"{what} is {size}, it must be at least 1")
        if not 0 <= dropout < 1:
            raise ConfigError(f"dropout is {dropout}, it must be at least 0 and below 1", place="Recurrent")
        try:
            self.cell = find(cell, peepholes)
            self.backend = backends.resolve(self.cell, backend)
        except ValueError as error:
            message, _, hint = str(error).partition("\n\nhint: ")
            raise ConfigError(message, place="Recurrent", hint=hint or None) from error
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bidirectional, self.dropout, self.batch_first = bidirectional, dropout, batch_first
        self.forget_bias = forget_bias
        for layer in range(num_layers):
            size = input_size if layer == 0 else self.output_size
            for suffix in self._suffixes(layer):
                for role, shape in shapes(self.cell, size, hidden_size).items():
                    self.register_parameter(role + suffix, nn.Parameter(torch.empty(shape)))
        self.reset_parameters()

    @property
    def output_size(self) -> int:
        """Width of the output: the hidden units of every direction."""
        return self.hidden_size * (2 if self.bidirectional else 1)

    def reset_parameters(self) -> None:
        """Draw all parameters anew, from torch's generator."""
        for layer in range(self.num_layers):
            for suffix in self._suffixes(layer):
                initialise(self.cell, self._weights(suffix), self.forget_bias)

    def forward(
        self, x: Tensor, state: Tensor | State | None = None, lengths: Tensor | Sequence[int] | None = None
    ) -> tuple[Tensor, Tensor | State]:
        """Run every layer over every time step.

        Args:
            x: [T, B, D], or [B, T, D] with `batch_first`.
            state: before the first step, `(h_NBH, c_NBH)` or `h_NBH` as the cell has it; zeros if None.
            lengths: steps of each sequence; the rest is padding, which changes no state and gives outputs of 0.

        Returns:
            The last layer's output, [T, B, O] (or [B, T, O]), and the state after each sequence's last step.

        Raises:
            ShapeError: sizes that do not fit, an empty sequence, another dtype than the weights'.
        """
        y_TBO = x.transpose(0, 1) if self.batch_first and x.dim() == 3 else x
        check_input(y_TBO, self.input_size, self._parameter("weight_ih_l0").dtype)
        lengths_B = None if lengths is None else check_lengths(lengths, y_TBO.shape[0], y_TBO.shape[1], x.device)
        if lengths_B is not None:  # what padding holds must not matter, not even a NaN
            y_TBO = torch.where(_alive(lengths_B, len(y_TBO)).unsqueeze(2), y_TBO, 0.0)
        states_NBH = self._initial(state, y_TBO)
        final: list[State] = []
        for layer in range(self.num_layers):
            if layer > 0 and self.dropout > 0:
                y_TBO = nn.functional.dropout(y_TBO, self.dropout, self.training)
            outputs = []
            for suffix in self._suffixes(layer):
                h_TBH, last = self._run(suffix, y_TBO, tuple(s_NBH[len(final)] for s_NBH in states_NBH), lengths_B)
                outputs.append(h_TBH)
                final.append(last)
            y_TBO = outputs[0] if len(outputs) == 1 else torch.cat(outputs, 2)
        after = tuple(torch.stack(steps) for steps in zip(*final, strict=True))
        return y_TBO.transpose(0, 1) if self.batch_first else y_TBO, after if len(after) > 1 else after[0]

    def gate_parameters(self, layer: int = 0, *, reverse: bool = False) -> dict[str, dict[str, Tensor]]:
        """One layer's parameters by gate.

        Returns:
            `input` (each [H, D]), `recurrent` (each [H, H]) and `peephole` (each [H]): views, by gate; and `bias` (each
            [H]): the sum of torch's two. A gate whose halves stay apart (the GRU's n) has a `_recurrent` bias besides.

        Raises:
            ShapeError: no such layer or direction.
        """
        if not 0 <= layer < self.num_layers or (reverse and not self.bidirectional):
            raise ShapeError(f"no layer {layer}{', reversed' if reverse else ''}: this has {self.num_layers} "
                             f"{'in two directions' if self.bidirectional else 'in one direction'}")
        weights, cell = self._weights(self._suffixes(layer)[int(reverse)]), self.cell
        input_, recurrent, bias, bias_rec = (
            dict(zip(cell.gates, tensor.chunk(len(cell.gates)), strict=True)) for tensor in weights[:4]
        )
        apart = {gate + RECURRENT: bias_rec[gate] for gate in cell.apart}
        return {
            "input": input_,
            "recurrent": recurrent,
            "bias": {k: b if k in cell.apart else b + bias_rec[k] for k, b in bias.items()} | apart,
            "peephole": dict(zip(cell.peepholes, weights.peephole_PH, strict=True)),
        }

    def extra_repr(self) -> str:
        return (f"{self.cell.name}, {self.input_size}, {self.hidden_size}, num_layers={self.num_layers}, "
                f"bidirectional={self.bidirectional}, dropout={self.dropout}, peepholes={bool(self.cell.peepholes)}, "
                f"backend={self.backend}")

    def _suffixes(self, layer: int) -> tuple[str, ...]:
        return (f"_l{layer}", f"_l{layer}_reverse")[: 2 if self.bidirectional else 1]

    def _parameter(self, name: str) -> Tensor:
        return self.get_parameter(name)

    def _weights(self, suffix: str) -> Weights:
        return Weights(*(
            self._parameter(role + suffix) if role != "peephole" or self.cell.peepholes
            else self._parameter("weight_ih" + suffix).new_empty(0, self.hidden_size)
            for role in _ROLES
        ))  # fmt: skip

    def _initial(self, state: Tensor | State | None, y_TBO: Tensor) -> State:
        size = (self.num_layers * (2 if self.bidirectional else 1), y_TBO.shape[1], self.hidden_size)
        if state is None:
            zero = self._parameter("weight_hh_l0").new_zeros(size)
            return (zero,) * len(self.cell.states)
        given = (state,) if isinstance(state, Tensor) else tuple(state)
        check_state(given, self.cell.states, size)
        return given

    def _run(self, suffix: str, x_TBD: Tensor, state: State, lengths_B: Tensor | None) -> tuple[Tensor, State]:
        weights, unroll = self._weights(suffix), backends.UNROLLS[self.backend]
        reverse = suffix.endswith("_reverse")
        x_TBD = _reversed(x_TBD, lengths_B) if reverse else x_TBD
        if self.backend == "torch":
            h_TBH, last = unroll(self.cell, x_TBD, state, weights, lengths_B)
        else:  # autocast would cast inside the time loop: these loops keep the weights' precision
            with torch.autocast(x_TBD.device.type, enabled=False):
                dtype = weights.input_GD.dtype
                h_TBH, last = unroll(self.cell, x_TBD.to(dtype), state, weights, lengths_B)
        return _reversed(h_TBH, lengths_B) if reverse else h_TBH, last


def _alive(lengths_B: Tensor, T: int) -> Tensor:
    """[T, B]: true where a step is not padding."""
    return torch.arange(T, device=lengths_B.device)[:, None] < lengths_B


def _reversed(x_TBD: Tensor, lengths_B: Tensor | None) -> Tensor:
    """Time backwards, each sequence within its own length: padding stays where it is."""
    if lengths_B is None:
        return x_TBD.flip(0)
    t_TB = torch.arange(len(x_TBD), device=x_TBD.device)[:, None].expand(x_TBD.shape[:2])
    source_TB = torch.where(_alive(lengths_B, len(x_TBD)), lengths_B - 1 - t_TB, t_TB)
    return x_TBD.gather(0, source_TB.unsqueeze(2).expand_as(x_TBD))
