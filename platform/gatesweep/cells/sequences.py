"""How sequences come in and go out: time or batch first, one alone, padded with lengths, or packed.

Inside a layer everything is [T, B, D] with lengths_B where they differ; a `Layout` remembers what came, so that the
output leaves the same way.

Shape suffixes: T time steps, B batch, D inputs, O outputs, N layers times directions, H hidden units.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from gatesweep.cells.checks import check_input, check_lengths
from gatesweep.cells.reference import State
from gatesweep.errors import ShapeError


@dataclass(frozen=True)
class Layout:
    """What came in, as torch.nn.LSTM takes it."""

    batch_first: bool
    packed: PackedSequence | None = None
    alone: bool = False
    """One sequence without a batch: [T, D], its states [N, H]."""

    def output(self, y_TBO: Tensor) -> Tensor | PackedSequence:
        """The output in the form of the input; a packed one keeps the input's order of sequences."""
        if self.alone:
            return y_TBO.squeeze(1)
        if self.packed is None:
            return y_TBO.transpose(0, 1) if self.batch_first else y_TBO
        order_B, sizes_T = self.packed.sorted_indices, self.packed.batch_sizes
        sorted_TBO = y_TBO if order_B is None else y_TBO.index_select(1, order_B)
        data = pack_padded_sequence(sorted_TBO, _sorted_lengths(sizes_T)).data
        return self.packed._replace(data=data)

    def given(self, state: Tensor | State | None) -> State | None:
        """The caller's state as a tuple of [N, B, H].

        Raises:
            ShapeError: a state with a batch for a sequence alone.
        """
        if state is None:
            return None
        states = (state,) if isinstance(state, Tensor) else tuple(state)
        if self.alone and any(s.dim() != 2 for s in states):
            raise ShapeError("one sequence alone, [time, inputs], takes states of [layers * directions, hidden units]; "
                             f"these are {[list(s.shape) for s in states]}")
        return tuple(s.unsqueeze(1) for s in states) if self.alone else states

    def state(self, states_NBH: State) -> Tensor | State:
        """The state as the caller knows it: h alone where the cell carries nothing else."""
        states = tuple(s.squeeze(1) for s in states_NBH) if self.alone else states_NBH
        return states if len(states) > 1 else states[0]


def read(
    x: Tensor | PackedSequence, lengths: Tensor | Sequence[int] | None, batch_first: bool, input_size: int,
    dtype: torch.dtype,
) -> tuple[Tensor, Tensor | None, Layout]:  # fmt: skip
    """The input as `x_TBD`, `lengths_B` where sequences differ, and the way back.

    Padding reads as 0: what it holds must not matter, not even a NaN.

    Raises:
        ShapeError: sizes that do not fit, an empty sequence, another dtype than the weights', lengths beside what
            needs none.
    """
    if lengths is not None and (isinstance(x, PackedSequence) or x.dim() == 2):
        raise ShapeError(f"a {'packed batch' if isinstance(x, PackedSequence) else 'sequence alone'} knows its length",
                         hint="leave `lengths` out")
    if isinstance(x, PackedSequence):
        x_TBD, lengths_B = pad_packed_sequence(x)
        check_input(x_TBD, input_size, dtype)
        return x_TBD, lengths_B.to(x_TBD.device), Layout(batch_first, packed=x)
    layout = Layout(batch_first, alone=x.dim() == 2)
    x_TBD = x.unsqueeze(1) if layout.alone else x.transpose(0, 1) if batch_first and x.dim() == 3 else x
    check_input(x_TBD, input_size, dtype)
    if lengths is None:
        return x_TBD, None, layout
    lengths_B = check_lengths(lengths, x_TBD.shape[0], x_TBD.shape[1], x.device)
    return torch.where(alive(lengths_B, len(x_TBD)).unsqueeze(2), x_TBD, 0.0), lengths_B, layout


def alive(lengths_B: Tensor, T: int) -> Tensor:
    """[T, B]: true where a step is not padding."""
    return torch.arange(T, device=lengths_B.device)[:, None] < lengths_B


def reverse(x_TBD: Tensor, lengths_B: Tensor | None) -> Tensor:
    """Time backwards, each sequence within its own length: padding stays where it is."""
    if lengths_B is None:
        return x_TBD.flip(0)
    t_TB = torch.arange(len(x_TBD), device=x_TBD.device)[:, None].expand(x_TBD.shape[:2])
    source_TB = torch.where(alive(lengths_B, len(x_TBD)), lengths_B - 1 - t_TB, t_TB)
    return x_TBD.gather(0, source_TB.unsqueeze(2).expand_as(x_TBD))


def _sorted_lengths(sizes_T: Tensor) -> Tensor:
    """Lengths of the sequences, longest first, from how many of them have each step."""
    return (sizes_T[None, :] > torch.arange(int(sizes_T[0]))[:, None]).sum(1)
