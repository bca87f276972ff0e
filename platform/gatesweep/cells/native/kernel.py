"""The compiled loops of one cell and one number type, as functions on tensors.

Letters as in `loops.h`. Threads share the sequences among them, each with loops of its own: a sequence's numbers do not
depend on how many there are, sums over the batch (`dp`) do.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

import torch
from torch import Tensor

from gatesweep.cells.compiler import library
from gatesweep.cells.description import Cell
from gatesweep.cells.expression import operations, sorted_nodes, trace
from gatesweep.cells.native.emit import step_functions
from gatesweep.cells.native.layout import Steps, layout, pairs
from gatesweep.cells.weights import Weights

TYPES = {torch.float32: ("float", "int32_t", 0), torch.float64: ("double", "int64_t", 1)}
MIN_ROWS = 4
"""Sequences below which another thread costs more than it saves."""


@dataclass(frozen=True)
class Kind:
    """What the loops are compiled for."""

    cell: Cell
    dtype: torch.dtype
    normed: bool = False
    """Whether R s is normalised."""

    projected: bool = False
    """Whether the output is projected."""


@lru_cache
def describable(cell: Cell) -> bool:
    """Whether the loops can run the cell: at most one norm in its step, and no recurrent product."""
    norms = [node for node in sorted_nodes(*trace(cell).new.values()) if node.op == "norm"]
    return cell.inner is None and len(norms) <= 1


def runs(cell: Cell, weights: Weights) -> bool:
    """Whether the loops can run the cell with these weights."""
    w_GD = weights.input_GD
    return w_GD.device.type == "cpu" and w_GD.dtype in TYPES and describable(cell)


def kind_of(cell: Cell, weights: Weights) -> Kind:
    """The kind of loops that these weights ask for."""
    normed, projected = weights.recurrent_gain_K is not None, weights.projection_PH is not None
    return Kind(cell, weights.input_GD.dtype, normed, projected)


@lru_cache
def source(kind: Kind) -> str:
    """The whole C source."""
    cell, (real, integer, double) = kind.cell, TYPES[kind.dtype]
    reads = pairs(cell)
    numbers = {
        "DOUBLE": double,
        "GATES": len(layout(cell)),
        "STATES": len(cell.states),
        "MASKS": len(cell.masks),
        "RECURRENT": len(cell.apart),
        "PAIRS": len(reads),
        "NORMED": int(kind.normed),
        "STAGED": int("norm" in operations(cell)),
        "PROJECTED": int(kind.projected),
    }
    lines = ["#include <stdint.h>", f"typedef {real} real;", f"typedef {integer} integer;"]
    lines += [f"#define {name} {number}" for name, number in numbers.items()]
    for column, name in enumerate(("PAIR_GATE", "PAIR_STATE")):
        table = ", ".join(str(pair[column]) for pair in reads) or "0"
        lines.append(f"static const int {name}[] = {{{table}}};")
    text = {name: files(__package__).joinpath(f"{name}.h").read_text() for name in ("vectors", "product", "loops")}
    # the step needs to know what a row is, and the loops need the step
    row, loops = text["loops"].split("/* --- */")
    return "\n".join((*lines, text["vectors"], text["product"], row, step_functions(cell), loops))


@dataclass
class Buffers:
    """What the loops read and write; shapes as in `loops.h`. None where the kind of loop has no use for it."""

    steps: Steps
    units: int
    g_NK: Tensor
    states: Sequence[Tensor]
    panels: Tensor
    p_PH: Tensor
    m_NMH: Tensor | None = None
    x_NX: Tensor | None = None
    deviation_N: Tensor | None = None
    gain_X: Tensor | None = None
    y_NH: Tensor | None = None
    projection: Tensor | None = None
    dy_NO: Tensor | None = None
    carry: Sequence[Tensor] = ()
    do_NO: Tensor | None = None
    dy_BH: Tensor | None = None
    outputs: int = 0


class Kernel:
    """One kind of compiled loops.

    Raises:
        NoCompiler: they are compiled nowhere yet and cannot be here.
    """

    def __init__(self, kind: Kind) -> None:
        number, pointer = ctypes.c_long, ctypes.c_void_p
        compiled = library(source(kind), kind.cell.name)
        self._pack, self._forward, self._backward = compiled.pack, compiled.forward, compiled.backward
        self._pack.argtypes = [number, number, pointer, number, number, pointer]
        self._forward.argtypes = [pointer, number, number]
        self._backward.argtypes = [pointer, number, number, pointer, pointer]
        self.lanes = int(compiled.lanes())
        self._loop = _loop_structure(len(kind.cell.states))

    def padded(self, H: int) -> int:
        """H filled up to whole vectors."""
        return -(-H // self.lanes) * self.lanes

    def pack(self, matrices: Sequence[Tensor]) -> Tensor:
        """Panels of each matrix [N, K], whatever its strides: what the loops multiply rows of K numbers by, for N."""
        sizes = [self.padded(len(matrix)) * matrix.shape[1] for matrix in matrices]
        out = matrices[0].new_empty(sum(sizes)) if matrices else torch.empty(0)
        for matrix, panel in zip(matrices, torch.split(out, sizes), strict=False):
            by_n, by_k = matrix.stride()
            self._pack(matrix.shape[1], len(matrix), matrix.data_ptr(), by_k, by_n, panel.data_ptr())
        return out

    def forward(self, buffers: Buffers) -> None:
        """Fill the states after every step; activations over G."""
        loop = self._described(buffers)
        _share(buffers.steps.batch, lambda part, first, last: self._forward(ctypes.addressof(loop), first, last))

    def backward(self, buffers: Buffers) -> tuple[Tensor, Tensor | None]:
        """Turn G into the adjoints of the pre-activations, `carry` into those of the first states; dp and dgain."""
        loop, threads = self._described(buffers), torch.get_num_threads()
        dp_nPH = buffers.p_PH.new_zeros(threads, *buffers.p_PH.shape)
        gain = buffers.p_PH.new_empty(0) if buffers.gain_X is None else buffers.gain_X
        dgain_nX = gain.new_zeros(threads, len(gain))

        def run(part: int, first: int, last: int) -> None:
            self._backward(ctypes.addressof(loop), first, last, dp_nPH[part].data_ptr(), dgain_nX[part].data_ptr())

        _share(buffers.steps.batch, run)
        return dp_nPH.sum(0), None if buffers.gain_X is None else dgain_nX.sum(0)

    def _described(self, x: Buffers) -> ctypes.Structure:
        H = x.p_PH.shape[1]
        sizes = (len(x.steps.running_T), x.steps.batch, H, x.states[0].shape[1], x.units, x.outputs or x.units)
        rest = (x.panels, x.p_PH, x.m_NMH, x.x_NX, x.deviation_N, x.gain_X, x.y_NH, x.projection, x.dy_NO)
        carry = x.carry or x.states  # never touched on the way forwards
        return self._loop(
            *sizes, _pointer(x.steps.running_T), _pointer(x.steps.offset_T), _pointer(x.g_NK), _pointers(x.states),
            *(_pointer(tensor) for tensor in rest), _pointers(carry), _pointer(x.do_NO), _pointer(x.dy_BH),
        )  # fmt: skip


@lru_cache
def kernel(kind: Kind) -> Kernel:
    """The loops, compiled and loaded once.

    Raises:
        NoCompiler: see `Kernel`.
    """
    return Kernel(kind)


def _loop_structure(states: int) -> type[ctypes.Structure]:
    """`Loop` of `loops.h`, field by field."""
    number, pointer = ctypes.c_long, ctypes.c_void_p
    fields: list[tuple[str, Any]] = [(name, number) for name in ("T", "B", "H", "O", "units", "outputs")]
    fields += [(name, pointer) for name in ("running", "offset", "G")] + [("states", pointer * states)]
    fields += [(name, pointer) for name in ("R", "p", "m", "X", "deviation", "gain", "Y", "W", "dy")]
    fields += [("D", pointer * states), ("dO", pointer), ("dY", pointer)]
    return type("Loop", (ctypes.Structure,), {"_fields_": fields})


def _pointer(tensor: Tensor | None) -> int | None:
    assert tensor is None or tensor.is_contiguous()
    return None if tensor is None else tensor.data_ptr()


def _pointers(tensors: Sequence[Tensor]) -> Any:
    return (ctypes.c_void_p * len(tensors))(*(_pointer(tensor) for tensor in tensors))


def _share(batch: int, run: Callable[[int, int, int], None]) -> None:
    """Call `run(part, first, last)` on every share of the batch, in as many threads as torch uses."""
    parts = max(1, min(torch.get_num_threads(), batch // MIN_ROWS))
    bounds = [batch * part // parts for part in range(parts + 1)]
    if parts == 1:
        run(0, 0, batch)
        return
    for done in [_threads(os.getpid()).submit(run, k, bounds[k], bounds[k + 1]) for k in range(parts)]:
        done.result()


@lru_cache
def _threads(process: int) -> ThreadPoolExecutor:
    """This process's own: a forked child has no threads."""
    return ThreadPoolExecutor(thread_name_prefix="gatesweep-cells")
