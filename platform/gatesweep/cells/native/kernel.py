"""The compiled loops of one cell and one number type, as functions on tensors.

Letters as in `loops.h`. Threads share the sequences among them, each with loops of its own: a sequence's numbers do not
depend on how many there are, sums over the batch (`dp`) do.
"""

from __future__ import annotations

import ctypes
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

import torch
from torch import Tensor

from gatesweep.cells import memory
from gatesweep.cells.compiler import library
from gatesweep.cells.description import RECURRENT, Cell
from gatesweep.cells.expression import Trace, operations, sorted_nodes, trace
from gatesweep.cells.native.emit import step_functions
from gatesweep.cells.native.layout import Steps, inner_columns, layout, pairs
from gatesweep.cells.native.threads import share

TYPES = {torch.float32: ("float", "int32_t", 0), torch.float64: ("double", "int64_t", 1)}
WIDENED = {torch.bfloat16: torch.float32}
"""Weights of these types are run by the loops of another: states and sums need more digits than they have."""


@dataclass(frozen=True)
class Kind:
    """What the loops are compiled for."""

    cell: Cell
    dtype: torch.dtype
    """What they calculate with, one of `TYPES`."""

    normed: bool = False
    """Whether R s is normalised."""

    projected: bool = False
    """Whether the output is projected."""


@lru_cache
def describable(cell: Cell) -> bool:
    """Whether the loops can run the cell: at most one norm in its step, none beside recurrent products within it."""
    step = trace(cell)
    norms = [node for node in sorted_nodes(*step.new.values(), *step.inner.values()) if node.op == "norm"]
    return len(norms) <= (0 if cell.inner else 1) and _one_by_one(cell, step)


def _one_by_one(cell: Cell, step: Trace) -> bool:
    """Whether what the inner products read is known before them: as wide as the one state that the others read."""
    needed = {id(node) for node in sorted_nodes(*step.inner.values())}
    own = any(gate in cell.apart or id(step.gates[gate]) in needed for gate in step.inner)
    return not step.inner or (len(cell.recurrent) == 1 and not own)


def fits(cell: Cell, *, normed: bool, projected: bool) -> bool:
    """Whether the loops can run the cell with such weights."""
    return describable(cell) and (cell.inner is None or not (normed or projected))


def kind_for(cell: Cell, dtype: torch.dtype, normed: bool, projected: bool) -> Kind:
    """The kind of loops for weights of this type, one of `TYPES` or `WIDENED`."""
    return Kind(cell, WIDENED.get(dtype, dtype), normed, projected)
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
        "INNER": len(inner_columns(cell)),
    }
    lines = ["#include <stdint.h>", f"typedef {real} real;", f"typedef {integer} integer;"]
    lines += [f"#define {name} {number}" for name, number in numbers.items()]
    for column, name in enumerate(("PAIR_GATE", "PAIR_STATE")):
        table = ", ".join(str(pair[column]) for pair in reads) or "0"
        lines.append(f"static const int {name}[] = {{{table}}};")
    if cell.inner:
        lines.append(f"static const int INNER_GATE[] = {{{', '.join(map(str, inner_columns(cell)))}}};")
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
    b_kH: Tensor
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
    inner: InnerBuffers | None = None


@dataclass
class InnerBuffers:
    """What the loops of a cell with recurrent products within its step use besides: Q, RQ, dA, dQ of `loops.h`."""

    read_NQ: Tensor
    panels: Tensor
    da_BQ: Tensor | None = None
    dq_BQ: Tensor | None = None


class Kernel:
    """One kind of compiled loops.

    Attributes:
        cell: whose they are.
        lanes: numbers in a vector.
        inputs, recurrent: gates in the order of the pre-activations with an input half, with a recurrent half.
        reads: gate and place among the cell's `recurrent` states of every pair.

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
        self.cell, columns = kind.cell, layout(kind.cell)
        gates = [kind.cell.gates.index(name.removesuffix(RECURRENT)) for name in columns]
        self.inputs, self.recurrent = gates[: len(kind.cell.gates)], gates[len(kind.cell.apart) :]
        self.reads = [(gates[k], kind.cell.recurrent.index(kind.cell.states[state])) for k, state in pairs(kind.cell)]

    def padded(self, H: int) -> int:
        """H filled up to whole vectors."""
        return -(-H // self.lanes) * self.lanes

    def pack(self, matrices: Sequence[Tensor]) -> Tensor:
        """Panels of each matrix [N, K], whatever its strides: what the loops multiply rows of K numbers by, for N."""
        sizes = [self.padded(len(matrix)) * matrix.shape[1] for matrix in matrices]
        out = memory.empty(sum(sizes), like=matrices[0]) if matrices else torch.empty(0)
        for matrix, panel in zip(matrices, torch.split(out, sizes), strict=False):
            by_n, by_k = matrix.stride()
            self._pack(matrix.shape[1], len(matrix), matrix.data_ptr(), by_k, by_n, panel.data_ptr())
        return out

    def forward(self, buffers: Buffers) -> None:
        """Fill the states after every step; activations over G."""
        loop = self._described(buffers)
        share(buffers.steps.batch, lambda _, first, last: self._forward(ctypes.addressof(loop), first, last))

    def backward(self, buffers: Buffers) -> tuple[Tensor, Tensor | None]:
        """Turn G into the adjoints of the pre-activations, `carry` into those of the first states; dp and dgain."""
        loop, threads = self._described(buffers), torch.get_num_threads()
        dp_nPH = buffers.p_PH.new_zeros(threads, *buffers.p_PH.shape)
        gain = buffers.p_PH.new_empty(0) if buffers.gain_X is None else buffers.gain_X
        dgain_nX = gain.new_zeros(threads, len(gain))

        def run(part: int, first: int, last: int) -> None:
            self._backward(ctypes.addressof(loop), first, last, dp_nPH[part].data_ptr(), dgain_nX[part].data_ptr())

        share(buffers.steps.batch, run)
        return dp_nPH.sum(0), None if buffers.gain_X is None else dgain_nX.sum(0)

    def _described(self, x: Buffers) -> ctypes.Structure:
        H = x.p_PH.shape[1]
        sizes = (len(x.steps.running_T), x.steps.batch, H, x.states[0].shape[1], x.units, x.outputs or x.units)
        rest = (x.panels, x.p_PH, x.m_NMH, x.x_NX, x.deviation_N, x.gain_X, x.y_NH, x.projection, x.dy_NO)
        carry = x.carry or x.states  # never touched on the way forwards
        q = x.inner
        inside = (q.read_NQ, q.panels, q.da_BQ, q.dq_BQ) if q is not None else (None,) * 4
        return self._loop(
            *sizes, _pointer(x.steps.running_T), _pointer(x.steps.offset_T), _pointer(x.g_NK), _pointer(x.b_kH),
            _pointers(x.states),
            *(_pointer(tensor) for tensor in rest), _pointers(carry), _pointer(x.do_NO), _pointer(x.dy_BH),
            *(_pointer(tensor) for tensor in inside),
        )  # fmt: skip


@lru_cache
def kernel(kind: Kind) -> Kernel:
    """The loops, compiled and loaded once.

    Raises:
        NoCompiler: see `Kernel`.
    """
    return Kernel(kind)


_NAMED: dict[str, Kernel] = {}


@lru_cache
def name_of(kind: Kind) -> str:
    """What stands for the loops where an object cannot, in a graph of operations: the same in every process.

    Raises:
        NoCompiler: see `Kernel`.
    """
    cell = kind.cell
    said = (source(kind), cell.gates, cell.states, cell.apart, cell.sources, cell.feedback)
    name = f"{cell.name}-{hashlib.sha256(repr(said).encode()).hexdigest()[:16]}"
    _NAMED[name] = kernel(kind)
    return name


def named(name: str) -> Kernel:
    """The loops that `name_of` gave the name to, in this process.

    Raises:
        KeyError: none has it.
    """
    return _NAMED[name]


def _loop_structure(states: int) -> type[ctypes.Structure]:
    """`Loop` of `loops.h`, field by field."""
    number, pointer = ctypes.c_long, ctypes.c_void_p
    fields: list[tuple[str, Any]] = [(name, number) for name in ("T", "B", "H", "O", "units", "outputs")]
    fields += [(name, pointer) for name in ("running", "offset", "G", "b")] + [("states", pointer * states)]
    fields += [(name, pointer) for name in ("R", "p", "m", "X", "deviation", "gain", "Y", "W", "dy")]
    fields += [("D", pointer * states), *((name, pointer) for name in ("dO", "dY", "Q", "RQ", "dA", "dQ"))]
    return type("Loop", (ctypes.Structure,), {"_fields_": fields})


def _pointer(tensor: Tensor | None) -> int | None:
    assert tensor is None or tensor.is_contiguous()
    return None if tensor is None else tensor.data_ptr()


def _pointers(tensors: Sequence[Tensor]) -> Any:
    return (ctypes.c_void_p * len(tensors))(*(_pointer(tensor) for tensor in tensors))
