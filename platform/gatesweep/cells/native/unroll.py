"""The native back end: any cell over sequences of any length, once differentiable, no work on padding.

Here sequences are put in order, the longest first, and weights into the form of the loops; `ops.py` runs them. The
values are those of `reference.unroll` up to rounding.

Shape suffixes: N rows (one for each step of each sequence), B batch, D inputs, H hidden units, k pre-activations,
K pre-activations times H, I those of them that read x, G gates times H, P per-unit parameters, M masks.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from gatesweep.cells.description import NORM_EPS, Cell
from gatesweep.cells.native import ops
from gatesweep.cells.native.kernel import WIDENED, fits, kernel, kind_for, name_of
from gatesweep.cells.native.layout import Steps
from gatesweep.cells.native.passes import Given
from gatesweep.cells.native.tracing import once_traced
from gatesweep.cells.reference import State
from gatesweep.cells.weights import Weights, dense, hidden_units


class Plan(NamedTuple):
    """What is known of the loops before they run."""

    kind: str
    """As `kernel.name_of`."""

    lanes: int
    """Numbers in a vector: rows are filled up to whole ones."""

    inputs: list[int]
    """Gates in the order of the pre-activations with an input half."""

    recurrent: list[int]
    """Gates in the order of those with a recurrent half."""

    def missing(self, H: int) -> int:
        """How many zeros fill H up."""
        return -H % self.lanes


def unroll(
    cell: Cell,
    x_TBD: Tensor,
    state: State,
    weights: Weights,
    lengths_B: Tensor | None = None,
    masks: Tensor | None = None,
) -> tuple[Tensor, State]:
    """As `reference.unroll`, on the CPU in float32 or float64, or in bfloat16 by way of float32.

    Raises:
        NoCompiler: the loops are compiled nowhere yet and cannot be here.
        ValueError: the step crosses units in more ways than the loops do (`kernel.fits`).
        RuntimeError: differentiated twice.
    """
    if x_TBD.dtype in WIDENED:
        return _by_way_of(WIDENED[x_TBD.dtype], cell, x_TBD, state, weights, lengths_B, masks)
    T, B = x_TBD.shape[:2]
    if lengths_B is None:
        h_NH, *final_BH = _run(cell, x_TBD.flatten(0, 1), state, weights, _rows(masks), None)
        return h_NH.view(T, B, -1), tuple(final_BH)
    order = torch.argsort(lengths_B, descending=True, stable=True)
    back = torch.argsort(order)
    rows_N = _standing(lengths_B[order], order)
    masks_NMH = _rows(masks)
    h_NH, *final_BH = _run(
        cell, x_TBD.flatten(0, 1)[rows_N], tuple(s_BH[order] for s_BH in state), weights,
        None if masks_NMH is None else masks_NMH[rows_N], lengths_B[order],
    )  # fmt: skip
    h_TBH = h_NH.new_zeros(T * B, h_NH.shape[1]).index_copy(0, rows_N, h_NH).view(T, B, -1)
    return h_TBH, tuple(s_BH[back] for s_BH in final_BH)


def _by_way_of(
    wide: torch.dtype, cell: Cell, x_TBD: Tensor, state: State, weights: Weights, lengths_B: Tensor | None,
    masks: Tensor | None,
) -> tuple[Tensor, State]:  # fmt: skip
    """`unroll` with more digits; outputs, final states and gradients are rounded once, at the end."""
    wide_state = tuple(s_BH.to(wide) for s_BH in state)
    wide_weights = Weights._make(None if w is None else w.to(wide) for w in weights)
    wide_masks = None if masks is None else masks.to(wide)
    h_TBH, final = unroll(cell, x_TBD.to(wide), wide_state, wide_weights, lengths_B, wide_masks)
    return h_TBH.to(x_TBD.dtype), tuple(s_BH.to(x_TBD.dtype) for s_BH in final)


def _standing(lengths_B: Tensor, order_B: Tensor) -> Tensor:
    """Rows of the padded batch in the order of the loops, [N]."""
    steps, B = Steps.of(lengths_B), len(lengths_B)
    t_N = torch.repeat_interleave(torch.arange(len(steps.running_T)), steps.running_T)
    return t_N * B + order_B[torch.arange(len(t_N)) - steps.offset_T[t_N]]


def _rows(masks_TMBH: Tensor | None) -> Tensor | None:
    """[T, M, B, H] as [N, M, H]."""
    return None if masks_TMBH is None else masks_TMBH.transpose(1, 2).flatten(0, 1)


def _run(
    cell: Cell, x_ND: Tensor, state: State, weights: Weights, masks_NMH: Tensor | None, lengths_B: Tensor | None
) -> tuple[Tensor, ...]:
    """Outputs [N, O] and final states [B, ...] of sequences that stand with the longest first."""
    normed, projected = weights.recurrent_gain_K is not None, weights.projection_PH is not None
    plan = Plan(*_plan(cell, weights.input_GD.dtype, normed, projected))
    units, sizes = hidden_units(cell, weights), [s_BH.shape[1] for s_BH in state]
    extra = plan.missing(units)
    x_ND, w_ID = _input(cell, x_ND, weights, plan)
    gain_G = weights.recurrent_gain_K
    if gain_G is not None:
        gain_G = _padded(gain_G.view(-1, units)[plan.recurrent], extra).flatten()
    p_PH = weights.peephole_PH.reshape(-1, units)  # none at all still tells how wide a row is
    given = Given(
        x_ND, w_ID, dense(cell, weights), _padded(_bias(cell, weights, units), extra), _padded(p_PH, extra),
        None if masks_NMH is None else _padded(masks_NMH, extra), gain_G, weights.projection_PH, lengths_B,
    )  # fmt: skip
    outputs = ops.unroll(plan.kind, units, given, [_padded(s_BH, plan.missing(s_BH.shape[1])) for s_BH in state])
    return tuple(x if x.shape[1] == n else x[:, :n] for x, n in zip(outputs, (sizes[0], *sizes), strict=True))


@once_traced
def _plan(cell: Cell, dtype: torch.dtype, normed: bool, projected: bool) -> tuple[str, int, list[int], list[int]]:
    """A `Plan`; the loops are compiled if need be.

    Raises:
        NoCompiler: they cannot be.
        ValueError: the step crosses units in more ways than the loops do (`kernel.fits`).
    """
    return _planned(cell, dtype, normed, projected)


@lru_cache
def _planned(cell: Cell, dtype: torch.dtype, normed: bool, projected: bool) -> tuple[str, int, list[int], list[int]]:
    if not fits(cell, normed=normed, projected=projected):
        raise ValueError(f"cell '{cell.name}': its step does not work unit by unit; the reference loop runs it")
    kind = kind_for(cell, dtype, normed, projected)
    loops = kernel(kind)
    return name_of(kind), loops.lanes, loops.inputs, loops.recurrent


def _input(cell: Cell, x_ND: Tensor, weights: Weights, plan: Plan) -> tuple[Tensor, Tensor | None]:
    """x and W in the loops' order; or, where W x is normalised, that product and None."""
    units = hidden_units(cell, weights)
    extra = plan.missing(units)
    if weights.input_gain_K is not None:
        wx_NG = functional.linear(x_ND, weights.input_GD)
        wx_NG = functional.layer_norm(wx_NG, wx_NG.shape[-1:], weights.input_gain_K, eps=NORM_EPS)
        wx_NGH = wx_NG.view(wx_NG.shape[0], -1, units)
        return _padded(wx_NGH[:, plan.inputs] if cell.apart else wx_NGH, extra).flatten(1), None
    if not cell.apart and not extra:
        return x_ND, weights.input_GD
    w_GHD = weights.input_GD.reshape(len(plan.inputs), units, -1)
    return x_ND, functional.pad(w_GHD[plan.inputs] if cell.apart else w_GHD, (0, 0, 0, extra)).flatten(0, 1)


def _padded(x: Tensor, extra: int) -> Tensor:
    """The last dimension filled up with zeros."""
    return functional.pad(x, (0, extra)) if extra else x


def _bias(cell: Cell, weights: Weights, units: int) -> Tensor:
    """b of every pre-activation, [pre-activations, units], in the loops' order."""
    if not cell.apart:  # added before they are views: as views, both would get one gradient's memory between them
        return (weights.input_bias_G + weights.recurrent_bias_G).reshape(-1, units)
    input_, recurrent = (b.reshape(-1, units) for b in (weights.input_bias_G, weights.recurrent_bias_G))
    apart = [cell.gates.index(gate) for gate in cell.apart]
    both = [k for k in range(len(cell.gates)) if k not in apart]
    return torch.cat([input_[apart], input_[both] + recurrent[both], recurrent[apart]])
