"""One pass forwards and one backwards: the compiled loops with the large products around them.

    forward     G = W x + b for all steps at once; the loop adds R s and steps, activations over G
    backward    the loop turns G into its adjoints, in place; dW, dR, dx, db are one product or sum each

Shape suffixes: N rows (one for each step of each sequence), B batch, D inputs, H hidden units filled up to whole
vectors, K pre-activations times H, I those of them that read x, X those that read states, G gates times units,
O outputs, P per-unit parameters, M masks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from gatesweep.cells import memory
from gatesweep.cells.description import RECURRENT
from gatesweep.cells.native.kernel import Buffers, InnerBuffers, Kernel
from gatesweep.cells.native.layout import Steps, inner_columns, layout


class Given(NamedTuple):
    """What a pass reads, rows of the longest sequence first; H is filled up with zeros."""

    x_ND: Tensor
    """W x itself where there is no `w_ID`."""

    w_ID: Tensor | None
    r_GS: Tensor
    """Not filled up."""

    b_kH: Tensor
    p_PH: Tensor
    masks_NMH: Tensor | None
    gain_X: Tensor | None
    """Of R s, where that is normalised."""

    projection_OH: Tensor | None
    """Not filled up."""

    lengths_B: Tensor | None
    """The longest first; None: all steps of all sequences."""


class Left(NamedTuple):
    """What the forward pass leaves for the backward one, which writes over `g_NK` and `x_NX`."""

    states: Sequence[Tensor]
    """Before the first step and after every step, each [B + N, H or O]."""

    g_NK: Tensor
    x_NX: Tensor | None = None
    deviation_N: Tensor | None = None
    y_NH: Tensor | None = None


class Gradients(NamedTuple):
    """By each field of `Given` that there is something to differentiate by; empty otherwise, and where nobody asked."""

    x_ND: Tensor
    w_ID: Tensor
    r_GS: Tensor
    b_kH: Tensor
    p_PH: Tensor
    gain_X: Tensor
    projection_OH: Tensor
    state: Tensor
    """Of all states before the first step, one after the other."""


def allocate(given: Given, state: Sequence[Tensor], empty: Callable[..., Tensor]) -> Left:
    """Room for what the forward pass leaves, by `empty(*shape, like=tensor)`."""
    x_ND, (N, B) = given.x_ND, (given.x_ND.shape[0], state[0].shape[0])
    normed, projected = given.gain_X is not None, given.projection_OH is not None
    return Left(
        [empty(B + N, s_BH.shape[1], like=s_BH) for s_BH in state],
        empty(N, given.b_kH.numel(), like=x_ND),
        empty(N, given.gain_X.shape[0], like=x_ND) if given.gain_X is not None else None,
        empty(N, like=x_ND) if normed else None,
        empty(N, given.p_PH.shape[1], like=x_ND) if projected else None,
    )


@dataclass
class Pass:
    """The loops over one batch.

    Args:
        units: the hidden units that there are; H may be more.
        batch: B.
    """

    loops: Kernel
    units: int
    batch: int
    given: Given
    left: Left

    def __post_init__(self) -> None:
        lengths_B, N = self.given.lengths_B, len(self.given.x_ND)
        self.steps = Steps.uniform(N // self.batch, self.batch) if lengths_B is None else Steps.of(lengths_B)

    def forward(self) -> None:
        """Fill `left`; the states before the first step stand there already."""
        given, loops, cell = self.given, self.loops, self.loops.cell
        g_NK = self.left.g_NK.data  # a loop that runs again for a kept graph is no change that autograd should refuse
        wx_NI = g_NK[:, : len(cell.gates) * given.p_PH.shape[1]]
        if given.w_ID is None:
            wx_NI.copy_(given.x_ND)
        else:
            torch.mm(given.x_ND, given.w_ID.t(), out=wx_NI)
        buffers = self._buffers(loops.pack(self._blocks()))
        if given.projection_OH is not None:
            buffers.projection = loops.pack([given.projection_OH])
        if cell.inner:
            buffers.inner = self._inner_forwards()
        loops.forward(buffers)

    def final(self) -> list[Tensor]:
        """Each state after every sequence's last step, [B, H or O]."""
        return [self.steps.last(states).clone() for states in self.left.states]

    def backward(self, dy_NO: Tensor, dfinal: Sequence[Tensor], *, dx: bool) -> Gradients:
        """From the adjoints of the outputs and of the final states; `left` is spent then."""
        given, left, loops, cell = self.given, self.left, self.loops, self.loops.cell
        dstate = torch.cat([d_BH.flatten() for d_BH in dfinal])
        buffers = self._buffers(loops.pack([block.t() for block in self._blocks()]))
        buffers.dy_NO = dy_NO.contiguous()
        buffers.carry = torch.split(dstate, [d_BH.numel() for d_BH in dfinal])
        dprojection_OH = dstate.new_empty(0)
        if given.projection_OH is not None and left.y_NH is not None:
            buffers.projection = loops.pack([given.projection_OH.t()])
            buffers.do_NO = torch.empty_like(buffers.dy_NO)
            buffers.dy_BH = left.y_NH.new_empty(self.batch, left.y_NH.shape[1])
        if cell.inner:
            buffers.inner = self._inner_backwards()
        dp_PH, dgain_X = loops.backward(buffers)
        if left.y_NH is not None and given.projection_OH is not None and buffers.do_NO is not None:
            outputs = len(given.projection_OH)
            dprojection_OH = buffers.do_NO[:, :outputs].t() @ left.y_NH[:, : self.units]
        dg_NI = left.g_NK[:, : len(cell.gates) * given.p_PH.shape[1]]
        return Gradients(
            dstate.new_empty(0) if not dx else dg_NI.clone() if given.w_ID is None else _times(dg_NI, given.w_ID),
            dstate.new_empty(0) if given.w_ID is None else _times(dg_NI.t(), given.x_ND),
            self._recurrent_gradient() if buffers.inner is None else self._gradient_by_gate(buffers.inner.read_NQ),
            left.g_NK.sum(0).view_as(given.b_kH),
            dp_PH, dstate.new_empty(0) if dgain_X is None else dgain_X, dprojection_OH, dstate,
        )  # fmt: skip

    def _buffers(self, panels: Tensor) -> Buffers:
        given, left = self.given, self.left
        masks_NMH = None if given.masks_NMH is None else given.masks_NMH.contiguous()
        outputs = 0 if given.projection_OH is None else len(given.projection_OH)
        p_PH = given.p_PH.contiguous()
        return Buffers(
            self.steps, self.units, left.g_NK, given.b_kH.contiguous(), left.states, panels, p_PH, masks_NMH,
            left.x_NX, left.deviation_N, None if given.gain_X is None else given.gain_X.contiguous(), left.y_NH,
            outputs=outputs,
        )  # fmt: skip

    def _blocks(self) -> list[Tensor]:
        """The matrix of every pair: how a pre-activation's units read a state's, [H, H or O of the projected one]."""
        r_GS, units, widths = self.given.r_GS, self.units, self._widths()
        columns = [sum(widths[:at]) for at in range(len(widths))]
        return [
            r_GS[gate * units : (gate + 1) * units, columns[at] : columns[at] + widths[at]]
            for gate, at in self.loops.reads
        ]

    def _widths(self) -> list[int]:
        """How many numbers of each of the recurrent states are read: of the output perhaps fewer than its units."""
        cell, units = self.loops.cell, self.units
        others = (len(cell.recurrent) - 1) * units
        return [self.given.r_GS.shape[1] - others if name == cell.states[0] else units for name in cell.recurrent]

    def _recurrent_gradient(self) -> Tensor:
        """dR over all the cell's recurrent states, [G, S], from the adjoints of R s."""
        cell, H, units = self.loops.cell, self.given.p_PH.shape[1], self.units
        dg_NR = self.left.g_NK[:, len(cell.apart) * H :] if self.left.x_NX is None else self.left.x_NX
        dr_GS, start = memory.empty(*self.given.r_GS.shape, like=dg_NR), 0
        for name, width in zip(cell.recurrent, self._widths(), strict=True):
            before_NS = self.steps.before(self.left.states[cell.states.index(name)])[:, :width]
            columns_GS = dr_GS[:, start : start + width]
            if cell.apart or units < H:
                d_GHS = torch.mm(dg_NR.t(), before_NS).view(-1, H, width)
                columns_GS.view(-1, units, width)[self.loops.recurrent] = d_GHS[:, :units]
            else:
                torch.mm(dg_NR.t(), before_NS, out=columns_GS)
            start += width
        return dr_GS

    def _inner_rows(self) -> list[Tensor]:
        """The rows of R of every gate whose product stands within the step."""
        cell, units = self.loops.cell, self.units
        at = [cell.gates.index(layout(cell)[k]) * units for k in inner_columns(cell)]
        return [self.given.r_GS[row : row + units] for row in at]

    def _inner_forwards(self) -> InnerBuffers:
        """What the products read stands in a buffer for one step: backwards it is computed again."""
        rows = self._inner_rows()
        width = len(rows) * self.given.p_PH.shape[1]
        return InnerBuffers(self.left.g_NK.new_empty(self.batch, width), self.loops.pack(rows))

    def _inner_backwards(self) -> InnerBuffers:
        rows, g_NK = self._inner_rows(), self.left.g_NK
        width = len(rows) * self.given.p_PH.shape[1]
        da_BQ, dq_BQ = (g_NK.new_empty(self.batch, width) for _ in range(2))
        panels = self.loops.pack([row.t() for row in rows])
        return InnerBuffers(g_NK.new_empty(len(g_NK), width), panels, da_BQ, dq_BQ)

    def _gradient_by_gate(self, read_NQ: Tensor) -> Tensor:
        """dR of a cell with recurrent products within its step: its gates read one state or what the step says."""
        cell, units, dg_NK = self.loops.cell, self.units, self.left.g_NK
        before_NH = self.steps.before(self.left.states[cell.states.index(cell.recurrent[0])])
        H, within = before_NH.shape[1], inner_columns(cell)
        dr_GS = torch.empty_like(self.given.r_GS)
        for k, name in enumerate(layout(cell)):
            if name not in cell.apart:
                read_NH = read_NQ[:, within.index(k) * H :][:, :H] if k in within else before_NH
                row = cell.gates.index(name.removesuffix(RECURRENT)) * units
                torch.mm(dg_NK[:, k * H :][:, :units].t(), read_NH[:, :units], out=dr_GS[row : row + units])
        return dr_GS


def _times(a_NK: Tensor, b_KM: Tensor) -> Tensor:
    return torch.mm(a_NK, b_KM, out=memory.empty(len(a_NK), b_KM.shape[1], like=a_NK))
