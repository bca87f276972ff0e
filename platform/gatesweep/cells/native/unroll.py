"""The native back end: any cell over sequences of any length, as one autograd function around the compiled loops.

    forward     G = W x + b for all steps at once; the loop adds R s and steps, activations over G
    backward    the loop turns G into its adjoints, in place; dW, dR, dx, db are one product or sum each

The values are those of `reference.unroll` up to rounding. G is written over by the first derivative; where a graph is
kept for a second one, the loop runs again. A derivative of the derivative raises: take the reference for that.

Shape suffixes: N rows (one for each step of each sequence), B batch, D inputs, H hidden units filled up to whole
vectors, K pre-activations times H, I those of them that read x, G gates times units, P per-unit parameters, M masks.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from gatesweep.cells.description import NORM_EPS, RECURRENT, Cell
from gatesweep.cells.native.kernel import Buffers, Kind, describable, kernel, kind_of
from gatesweep.cells.native.layout import Steps, layout, pairs
from gatesweep.cells.reference import State
from gatesweep.cells.weights import Weights, dense, hidden_units


def unroll(
    cell: Cell,
    x_TBD: Tensor,
    state: State,
    weights: Weights,
    lengths_B: Tensor | None = None,
    masks: Tensor | None = None,
) -> tuple[Tensor, State]:
    """As `reference.unroll`, on the CPU in float32 or float64, once differentiable; no work on padding.

    Raises:
        NoCompiler: the loops are compiled nowhere yet and cannot be here.
        ValueError: the step holds a recurrent product of its own.
        RuntimeError: differentiated twice.
    """
    if not describable(cell):
        raise ValueError(f"cell '{cell.name}': its step does not work unit by unit; the reference loop runs it")
    T, B, _ = x_TBD.shape
    if lengths_B is None:
        h_NH, *final = _run(cell, Steps.uniform(T, B), x_TBD.flatten(0, 1), state, weights, _rows(masks))
        return h_NH.view(T, B, -1), tuple(final)
    order = torch.argsort(lengths_B, descending=True, stable=True)
    back = torch.argsort(order)
    steps = Steps.of(lengths_B[order])
    # rows of the padded batch in the order of the loops, and the other way round
    t_N = torch.repeat_interleave(torch.arange(len(steps.running_T)), steps.running_T)
    rows_N = t_N * B + order[torch.arange(len(t_N)) - steps.offset_T[t_N]]
    masks_NMH = _rows(masks)
    h_NH, *final = _run(
        cell, steps, x_TBD.flatten(0, 1)[rows_N], tuple(s_BH[order] for s_BH in state), weights,
        None if masks_NMH is None else masks_NMH[rows_N],
    )  # fmt: skip
    h_TBH = h_NH.new_zeros(T * B, h_NH.shape[1]).index_copy(0, rows_N, h_NH).view(T, B, -1)
    return h_TBH, tuple(s_BH[back] for s_BH in final)


def _rows(masks_TMBH: Tensor | None) -> Tensor | None:
    """[T, M, B, H] as [N, M, H]."""
    return None if masks_TMBH is None else masks_TMBH.transpose(1, 2).flatten(0, 1)


def _run(
    cell: Cell, steps: Steps, x_ND: Tensor, state: State, weights: Weights, masks_NMH: Tensor | None
) -> tuple[Tensor, ...]:
    """Outputs [N, O] and final states [B, ...] of sequences that stand with the longest first."""
    kind = kind_of(cell, weights)
    loops, units = kernel(kind), hidden_units(cell, weights)
    extra, sizes = loops.padded(units) - units, [s_BH.shape[1] for s_BH in state]
    x_ND, w_ID = _input(cell, x_ND, weights, units, extra)
    gain_G = weights.recurrent_gain_K
    if gain_G is not None:
        gain_G = _padded(gain_G.view(-1, units)[_recurrent_order(cell)], extra).flatten()
    p_PH = weights.peephole_PH.reshape(-1, units)  # none at all still tells how wide a row is
    outputs: tuple[Tensor, ...] = _Loops.apply(  # type: ignore[no-untyped-call]
        kind, steps, units, x_ND, w_ID, dense(cell, weights), _padded(_bias(cell, weights, units), extra),
        _padded(p_PH, extra), None if masks_NMH is None else _padded(masks_NMH, extra), gain_G,
        weights.projection_PH, *(_padded(s_BH, loops.padded(s_BH.shape[1]) - s_BH.shape[1]) for s_BH in state),
    )  # fmt: skip
    return tuple(x if x.shape[1] == n else x[:, :n] for x, n in zip(outputs, (sizes[0], *sizes), strict=True))


def _input(cell: Cell, x_ND: Tensor, weights: Weights, units: int, extra: int) -> tuple[Tensor, Tensor | None]:
    """x and W in the loops' order; or, where W x is normalised, that product and None."""
    order = [cell.gates.index(name) for name in layout(cell)[: len(cell.gates)]]
    if weights.input_gain_K is not None:
        wx_NG = functional.linear(x_ND, weights.input_GD)
        wx_NG = functional.layer_norm(wx_NG, wx_NG.shape[-1:], weights.input_gain_K, eps=NORM_EPS)
        wx_NGH = wx_NG.view(len(wx_NG), -1, units)
        return _padded(wx_NGH[:, order] if cell.apart else wx_NGH, extra).flatten(1), None
    if not cell.apart and not extra:
        return x_ND, weights.input_GD
    w_GHD = weights.input_GD.reshape(len(order), units, -1)
    return x_ND, functional.pad(w_GHD[order] if cell.apart else w_GHD, (0, 0, 0, extra)).flatten(0, 1)


def _recurrent_order(cell: Cell) -> list[int]:
    """Gates in the order of the pre-activations with a recurrent half."""
    return [cell.gates.index(name.removesuffix(RECURRENT)) for name in layout(cell)[len(cell.apart) :]]


def _padded(x: Tensor, extra: int) -> Tensor:
    """The last dimension filled up with zeros."""
    return (functional.pad(x, (0, extra)) if extra else x).contiguous()


def _bias(cell: Cell, weights: Weights, units: int) -> Tensor:
    """b of every pre-activation, [pre-activations, units], in the loops' order."""
    input_, recurrent = (b.reshape(-1, units) for b in (weights.input_bias_G, weights.recurrent_bias_G))
    if not cell.apart:
        return input_ + recurrent
    apart = [cell.gates.index(gate) for gate in cell.apart]
    both = [k for k in range(len(cell.gates)) if k not in apart]
    return torch.cat([input_[apart], input_[both] + recurrent[both], recurrent[apart]])


class _Loops(torch.autograd.Function):
    """The loops with their large products around them. `x` is W x itself where there is no `w_ID`."""

    @staticmethod
    def forward(
        ctx: Any, kind: Kind, steps: Steps, units: int, x_ND: Tensor, w_ID: Tensor | None, r_GS: Tensor, b_kH: Tensor,
        p_PH: Tensor, masks_NMH: Tensor | None, gain_X: Tensor | None, projection_OH: Tensor | None, *state: Tensor,
    ) -> tuple[Tensor, ...]:  # fmt: skip
        N, H = len(x_ND), p_PH.shape[1]
        states = [s_BH.new_empty(steps.batch + N, s_BH.shape[1]) for s_BH in state]
        for buffer, s_BH in zip(states, state, strict=True):
            buffer[: steps.batch] = s_BH
        ctx.kind, ctx.steps, ctx.units, ctx.spent = kind, steps, units, False
        kept = (
            x_ND.new_empty(N, b_kH.numel()),
            x_ND.new_empty(N, len(gain_X)) if gain_X is not None else None,
            x_ND.new_empty(N) if gain_X is not None else None,
            x_ND.new_empty(N, H) if projection_OH is not None else None,
        )
        saved = (x_ND, w_ID, r_GS, b_kH, p_PH, masks_NMH, gain_X, projection_OH, *kept, *states)
        _fill(ctx, *saved)
        ctx.save_for_backward(*saved)
        return states[0][steps.batch :], *(steps.last(buffer).clone() for buffer in states)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy_NO: Tensor, *dfinal: Tensor) -> tuple[Tensor | None, ...]:
        if ctx.spent:
            _fill(ctx, *ctx.saved_tensors)
        ctx.spent = True
        x_ND, w_ID, r_GS, b_kH, p_PH, _, _, projection_OH, g_NK, x_NX, _, y_NH, *states = ctx.saved_tensors
        loops, cell, units = kernel(ctx.kind), ctx.kind.cell, ctx.units
        buffers = _buffers(ctx, *ctx.saved_tensors)
        buffers.panels = loops.pack([block.t() for block in _blocks(cell, r_GS, units)])
        buffers.dy_NO = dy_NO.contiguous()
        buffers.carry = [d_BH.clone(memory_format=torch.contiguous_format) for d_BH in dfinal]
        if projection_OH is not None:
            buffers.projection = loops.pack([projection_OH.t()])
            buffers.do_NO = torch.empty_like(buffers.dy_NO)
            buffers.dy_BH = y_NH.new_empty(ctx.steps.batch, y_NH.shape[1])
        dp_PH, dgain_X = loops.backward(buffers)
        dprojection_OH = None
        if projection_OH is not None and buffers.do_NO is not None:
            dprojection_OH = (buffers.do_NO.t() @ y_NH)[: len(projection_OH), :units]
        H = p_PH.shape[1]
        dg_NR = g_NK[:, len(cell.apart) * H :] if x_NX is None else x_NX
        dr_GS = _recurrent_gradient(cell, ctx.steps, dg_NR, H, states, r_GS, units)
        dg_NI = g_NK[:, : len(cell.gates) * H]
        dw_ID = None if w_ID is None else dg_NI.t() @ x_ND
        dx_ND = None if not ctx.needs_input_grad[3] else dg_NI.clone() if w_ID is None else dg_NI @ w_ID
        db_kH = g_NK.sum(0).view_as(b_kH)
        return (
            None, None, None, dx_ND, dw_ID, dr_GS, db_kH, dp_PH, None, dgain_X, dprojection_OH, *buffers.carry
        )  # fmt: skip


def _fill(ctx: Any, *saved: Any) -> None:
    """G, the states after every step, and what the kind of loop leaves besides."""
    x_ND, w_ID, r_GS, b_kH, p_PH, _, _, projection_OH, g_NK, *_ = saved
    loops, cell = kernel(ctx.kind), ctx.kind.cell
    inputs, b_K = len(cell.gates) * p_PH.shape[1], b_kH.flatten()
    g_NK = g_NK.data  # a loop that runs again for a kept graph is no change that autograd should refuse
    if w_ID is None:
        torch.add(x_ND, b_K[:inputs], out=g_NK[:, :inputs])
    else:
        torch.addmm(b_K[:inputs], x_ND, w_ID.t(), out=g_NK[:, :inputs])
    g_NK[:, inputs:] = b_K[inputs:]
    buffers = _buffers(ctx, *saved)
    buffers.panels = loops.pack(_blocks(cell, r_GS, ctx.units))
    if projection_OH is not None:
        buffers.projection = loops.pack([projection_OH])
    loops.forward(buffers)


def _buffers(ctx: Any, *saved: Any) -> Buffers:
    _, _, _, _, p_PH, masks_NMH, gain_X, projection_OH, g_NK, x_NX, deviation_N, y_NH, *states = saved
    outputs = 0 if projection_OH is None else len(projection_OH)
    return Buffers(
        ctx.steps, ctx.units, g_NK, states, p_PH, p_PH, masks_NMH, x_NX, deviation_N, gain_X, y_NH, outputs=outputs
    )


def _blocks(cell: Cell, r_GS: Tensor, units: int) -> list[Tensor]:
    """The matrix of every pair: how a pre-activation's units [H] read a state's [H, or O of the projected output]."""
    blocks = []
    widths = _widths(cell, r_GS, units)
    for k, state in pairs(cell):
        row = cell.gates.index(layout(cell)[k].removesuffix(RECURRENT)) * units
        at = cell.recurrent.index(cell.states[state])
        column = sum(widths[:at])
        blocks.append(r_GS[row : row + units, column : column + widths[at]])
    return blocks


def _widths(cell: Cell, r_GS: Tensor, units: int) -> list[int]:
    """How many numbers of each of the recurrent states are read: those of the output may be fewer than its units."""
    others = len(cell.recurrent) - 1
    return [r_GS.shape[1] - others * units if name == cell.states[0] else units for name in cell.recurrent]


def _recurrent_gradient(
    cell: Cell, steps: Steps, dg_NR: Tensor, H: int, states: list[Tensor], r_GS: Tensor, units: int
) -> Tensor:
    """dR over all the cell's recurrent states, [G, S], from the adjoints of R s."""
    names, columns = _recurrent_order(cell), []
    for name, width in zip(cell.recurrent, _widths(cell, r_GS, units), strict=True):
        before_NS = steps.before(states[cell.states.index(name)])
        d_SR = before_NS.t() @ dg_NR  # the narrow matrix first: MKL is up to five times slower on the other product
        d_GHS = d_SR.view(len(d_SR), len(names), H)[:width, :, :units].permute(1, 2, 0)
        columns.append(d_GHS[[names.index(k) for k in range(len(names))]] if cell.apart else d_GHS)
    return torch.cat(columns, 2).flatten(0, 1) if columns else torch.zeros_like(r_GS)
