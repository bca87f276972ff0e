"""The ways to run a cell over time. Each is one function with the signature of `reference.unroll`:

    unroll(cell, x_TBD, state, weights, lengths_B=None) -> h_TBH, final state

    reference   the definition, in plain torch                       any cell, any number of derivatives
    fused       one autograd function, its backward derived          any cell, one derivative
    torch       torch's own LSTM, GRU and RNN kernels                vanilla, gru, rnn
    auto        torch where its equations are the cell's, else fused

A new way to run cells is a new entry here.
"""

from __future__ import annotations

from typing import Any, Protocol, cast

import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from gatesweep.cells import fused, reference
from gatesweep.cells.description import Cell
from gatesweep.cells.names import check_backend, fits_torch
from gatesweep.cells.reference import State
from gatesweep.cells.weights import Weights


class Unroll(Protocol):
    """One layer of a cell, one direction, over all time steps; shapes and errors as `reference.unroll`."""

    def __call__(
        self, cell: Cell, x_TBD: Tensor, state: State, weights: Weights, lengths_B: Tensor | None = None
    ) -> tuple[Tensor, State]: ...


def torch_unroll(
    cell: Cell, x_TBD: Tensor, state: State, weights: Weights, lengths_B: Tensor | None = None
) -> tuple[Tensor, State]:
    """torch's own kernel for the cell, packed where lengths differ."""
    kernel: Any = {"vanilla": torch.lstm, "gru": torch.gru, "rnn": torch.rnn_tanh}[cell.name]
    hx_1BH = [s_BH.unsqueeze(0).contiguous() for s_BH in state]
    flat = [w.contiguous() for w in weights[:4]]
    # has_biases, num_layers, dropout, train, bidirectional: dropout and direction are the layer's business.
    options = (True, 1, 0.0, torch.is_grad_enabled(), False)
    if lengths_B is None:
        h_TBH, *final = kernel(x_TBD, hx_1BH if len(hx_1BH) > 1 else hx_1BH[0], flat, *options, False)
        return h_TBH, tuple(s.squeeze(0) for s in final)
    packed = pack_padded_sequence(x_TBD, lengths_B.cpu(), enforce_sorted=False)
    order, back = cast(Tensor, packed.sorted_indices), cast(Tensor, packed.unsorted_indices)
    hx_1BH = [s.index_select(1, order) for s in hx_1BH]
    data, *final = kernel(packed.data, packed.batch_sizes, hx_1BH if len(hx_1BH) > 1 else hx_1BH[0], flat, *options)
    h_TBH, _ = pad_packed_sequence(packed._replace(data=data), total_length=len(x_TBD))
    return h_TBH, tuple(s.index_select(1, back).squeeze(0) for s in final)


UNROLLS: dict[str, Unroll] = {"reference": reference.unroll, "fused": fused.unroll, "torch": torch_unroll}


def resolve(cell: Cell, backend: str) -> str:
    """The name in `UNROLLS` that `backend` means for this cell.

    Raises:
        ValueError: unknown, or torch has no kernel for the cell.
    """
    check_backend(cell.name, backend, bool(cell.peepholes))
    if backend != "auto":
        return backend
    return "torch" if fits_torch(cell.name, bool(cell.peepholes)) else "fused"
