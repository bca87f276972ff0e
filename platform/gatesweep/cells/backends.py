"""The ways to run a cell over time. Each is one function with the signature of `reference.unroll`:

    unroll(cell, x_TBD, state, weights, lengths_B=None, masks=None) -> h_TBH, final state

    reference   the definition, in plain torch                       any cell, any option, any number of derivatives
    fused       one autograd function, its backward derived          any cell that works unit by unit, one derivative
    parallel    all time steps at once, by a scan                    minlstm, mingru, any number of derivatives
    torch       torch's own LSTM, GRU and RNN kernels                vanilla, gru, rnn, without options
    native      loops in C, generated from the cell                  CPU, all floats but float16; a C compiler, once
    triton      a Triton kernel a step, generated from the cell      any cell that works unit by unit; on a GPU
    auto        the first of native, torch, parallel, fused, reference that can: triton is taken by name alone

A new way to run cells is an entry in each of the three tables at the end.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple, Protocol, cast

import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from gatesweep.cells import fused, linear, reference
from gatesweep.cells.compiler import NoCompiler
from gatesweep.cells.description import Cell
from gatesweep.cells.expression import by_unit
from gatesweep.cells.names import BACKENDS, TORCH_CELLS, cannot, unknown_backend
from gatesweep.cells.native import unroll as native
from gatesweep.cells.native.kernel import TYPES, WIDENED, Kind, describable, fits, kernel, kind_for
from gatesweep.cells.native.tracing import once_traced
from gatesweep.cells.reference import State
from gatesweep.cells.triton import unroll as triton
from gatesweep.cells.triton.kernel import check_installed
from gatesweep.cells.variants import CELLS
from gatesweep.cells.weights import Weights, hidden_units


class Unroll(Protocol):
    """One layer of a cell, one direction, over all time steps; shapes and errors as `reference.unroll`."""

    def __call__(
        self, cell: Cell, x_TBD: Tensor, state: State, weights: Weights, lengths_B: Tensor | None = None,
        masks: Tensor | None = None,
    ) -> tuple[Tensor, State]: ...  # fmt: skip


def torch_unroll(
    cell: Cell, x_TBD: Tensor, state: State, weights: Weights, lengths_B: Tensor | None = None,
    masks: Tensor | None = None,
) -> tuple[Tensor, State]:  # fmt: skip
    """torch's own kernel for the cell, packed where lengths differ; it knows no masks.

    Raises:
        ValueError: the cell or its weights are none of torch's (`supports`).
    """
    if masks is not None or not supports("torch", cell, weights):
        raise ValueError(cannot(cell.name, "torch", bool(cell.peepholes)))
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


class Traits(NamedTuple):
    """What a back end looks at in weights."""

    device: str
    dtype: torch.dtype
    normed: bool
    projected: bool
    heads: bool

    @classmethod
    def of(cls, cell: Cell, weights: Weights) -> Traits:
        w_GD, projected = weights.input_GD, weights.projection_PH is not None
        heads = not projected and weights.recurrent_GS.shape[1] < hidden_units(cell, weights)
        return cls(w_GD.device.type, w_GD.dtype, weights.recurrent_gain_K is not None, projected, heads)

    def kind(self, cell: Cell) -> Kind:
        return kind_for(cell, self.dtype, self.normed, self.projected)

    def native(self, cell: Cell) -> bool:
        """Whether there can be loops in C."""
        return self.device == "cpu" and (self.dtype in TYPES or self.dtype in WIDENED) and fits(
            cell, normed=self.normed, projected=self.projected
        )


def supports(backend: str, cell: Cell, weights: Weights | None = None) -> bool:
    """Whether a back end, one of `UNROLLS`, runs the cell with these weights; None: with no more than a cell needs."""
    return _SUPPORTS[backend](cell, None if weights is None else Traits.of(cell, weights))


def resolve(cell: Cell, backend: str, weights: Weights | None = None) -> str:
    """The name in `UNROLLS` that `backend` means for this cell and these weights.

    Raises:
        ValueError: unknown, it cannot run the cell, or what it needs is not installed.
    """
    return _resolved(cell, backend, *(() if weights is None else Traits.of(cell, weights)))


@once_traced
def _resolved(cell: Cell, backend: str, *of_weights: Any) -> str:
    if backend not in BACKENDS:
        raise ValueError(unknown_backend(backend))
    traits = Traits(*of_weights) if of_weights else None
    if backend == "auto":
        return next(name for name in FASTEST if _SUPPORTS[name](cell, traits))
    if backend == "native" and traits is not None and traits.native(cell):
        return _native_or_why(traits.kind(cell))
    if not _SUPPORTS[backend](cell, traits):
        raise ValueError(cannot(cell.name, backend, bool(cell.peepholes)))
    if backend == "triton":
        check_installed()
    return backend


def _native_has(cell: Cell, traits: Traits | None) -> bool:
    if traits is None:
        return describable(cell)
    if torch.compiler.is_exporting():  # what is exported must run where these loops are not
        return False
    return traits.native(cell) and _compiled(traits.kind(cell))


@lru_cache
def _compiled(kind: Kind) -> bool:
    """Whether the loops are there, compiled now if need be; where no compiler is, that is said once."""
    try:
        kernel(kind)
    except NoCompiler as error:
        _say_that_nothing_compiles(str(error))
        return False
    return True


def _native_or_why(kind: Kind) -> str:
    """For whoever asks for the native loops by name."""
    try:
        kernel(kind)
    except NoCompiler as error:
        raise ValueError(f"backend 'native': {error}\n\nhint: install a C compiler, or take backend auto") from error
    return "native"


@lru_cache
def _say_that_nothing_compiles(why: str) -> None:
    logging.getLogger("gatesweep").warning(
        "cells run on torch operations alone, at about half the speed: %s. Debian: apt-get install gcc libc6-dev", why
    )


def _plain(traits: Traits | None) -> bool:
    return traits is None or not (traits.projected or traits.normed)


def _torch_has(cell: Cell, traits: Traits | None) -> bool:
    if cell.name not in TORCH_CELLS or cell != CELLS[cell.name] or not _plain(traits):
        return False
    return traits is None or not traits.heads


UNROLLS: dict[str, Unroll] = {
    "reference": reference.unroll, "fused": fused.unroll, "parallel": linear.unroll, "torch": torch_unroll,
    "native": native.unroll, "triton": triton.unroll,
}  # fmt: skip
_SUPPORTS: dict[str, Callable[[Cell, Traits | None], bool]] = {
    "reference": lambda cell, traits: True,
    "fused": lambda cell, traits: by_unit(cell) and _plain(traits),
    "triton": lambda cell, traits: by_unit(cell) and _plain(traits),
    "parallel": lambda cell, traits: linear.is_linear(cell) and _plain(traits),
    "torch": _torch_has,
    "native": _native_has,
}
FASTEST = ("native", "torch", "parallel", "fused", "reference")
"""What `auto` tries, in this order."""
