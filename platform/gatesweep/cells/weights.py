"""One layer's parameters in one direction, and the uniform form in which the loops use them.

Shape suffixes: D inputs, H hidden units, G gates times H, K pre-activations times H, S recurrent sources times H,
F gates fed back times H, O outputs of the projection, P peepholes and vectors.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from gatesweep.cells.description import Cell
from gatesweep.cells.loop import check_sizes


class Weights(NamedTuple):
    """As torch.nn.LSTM keeps them: gates stacked in the rows, two biases; then what some cells and options add."""

    input_GD: Tensor

    recurrent_GS: Tensor
    """Over the cell's `sources`. As [G, H/n] it is n heads, each reading its own units alone: n blocks a gate."""

    input_bias_G: Tensor
    recurrent_bias_G: Tensor

    peephole_PH: Tensor
    """A row for each of the cell's `units`."""

    feedback_FF: Tensor | None = None
    """Rows and columns in the order of the cell's `feedback`."""

    projection_PH: Tensor | None = None
    """[O, H]: the output is W_p h, and it is what the recurrent weights read (Sak et al. 2014, LSTMP)."""

    input_gain_K: Tensor | None = None
    """[G]. Both gains together: W x and R s are each normalised over all gates' units and multiplied by these before
    they meet (Ba et al. 2016, eq. 20); the shift is the bias."""

    recurrent_gain_K: Tensor | None = None
    """[G]."""


class Uniform(NamedTuple):
    """Every pre-activation as W x + R s + b; a half that a pre-activation lacks is a block of zeros.

    S spans the cell's `recurrent` states: its sources, then the gates fed back.
    """

    input_KD: Tensor
    recurrent_KS: Tensor
    bias_K: Tensor


ROLES = {
    "weight_ih": "input_GD", "weight_hh": "recurrent_GS", "bias_ih": "input_bias_G", "bias_hh": "recurrent_bias_G",
    "peephole": "peephole_PH", "feedback": "feedback_FF", "weight_hr": "projection_PH", "gain_ih": "input_gain_K",
    "gain_hh": "recurrent_gain_K",
}  # fmt: skip
"""A parameter's name, torch's own where it has one, and its field of `Weights`."""


def uniform(cell: Cell, weights: Weights) -> Uniform:
    """The weights with heads made dense, fed-back gates beside the sources, and the gates of `apart` split in two:
    input rows above, their recurrent rows below."""
    return Uniform(
        input_half(cell, weights.input_GD),
        recurrent_half(cell, dense(cell, weights)),
        input_half(cell, weights.input_bias_G) + recurrent_half(cell, weights.recurrent_bias_G),
    )


def input_half(cell: Cell, x_G: Tensor, dim: int = 0) -> Tensor:
    """One input half for each gate -> one for each pre-activation, along `dim`."""
    if not cell.apart:
        return x_G
    parts = x_G.chunk(len(cell.gates), dim)
    return torch.cat([*parts, *(torch.zeros_like(parts[0]) for _ in cell.apart)], dim)


def recurrent_half(cell: Cell, x_G: Tensor, dim: int = 0) -> Tensor:
    """One recurrent half for each gate -> one for each pre-activation, along `dim`."""
    if not cell.apart:
        return x_G
    parts = dict(zip(cell.gates, x_G.chunk(len(cell.gates), dim), strict=True))
    above = [torch.zeros_like(x) if gate in cell.apart else x for gate, x in parts.items()]
    return torch.cat([*above, *(parts[gate] for gate in cell.apart)], dim)


def dense(cell: Cell, weights: Weights) -> Tensor:
    """The recurrent weights over all the cell's `recurrent` states, [G, S]: heads and feedback with their zeros."""
    r_GS, H = weights.recurrent_GS, hidden_units(cell, weights)
    width = H if weights.projection_PH is None else len(weights.projection_PH)
    if cell.sources and r_GS.shape[1] < width:
        r_GS = _block_diagonal(r_GS, H)
    if weights.feedback_FF is None:
        return r_GS
    rows = dict(zip(cell.feedback, weights.feedback_FF.chunk(len(cell.feedback)), strict=True))
    unread = weights.feedback_FF.new_zeros(H, weights.feedback_FF.shape[1])
    return torch.cat([r_GS, torch.cat([rows.get(gate, unread) for gate in cell.gates])], dim=1)


def _block_diagonal(r_Gw: Tensor, H: int) -> Tensor:
    """n heads of w = H/n units, stacked in each gate's rows -> [G, H] with zeros between heads."""
    G, w = r_Gw.shape
    n = H // w
    blocks = r_Gw.view(G // H, n, w, 1, w) * torch.eye(n, dtype=r_Gw.dtype, device=r_Gw.device).view(1, n, 1, n, 1)
    return blocks.reshape(G, H)


def hidden_units(cell: Cell, weights: Weights) -> int:
    """H: the units of each gate."""
    return len(weights.input_GD) // len(cell.gates)


def shapes(
    cell: Cell, input_size: int, hidden_size: int, *, projection: int | None = None, norm: bool = False, heads: int = 1
) -> dict[str, tuple[int, ...]]:
    """Sizes of the parameters that there are, by the names of `ROLES`.

    Args:
        projection: outputs of each step, where they are fewer than the hidden units.
        norm: whether the two halves of the pre-activations are normalised.
        heads: groups of units that the recurrent weights keep apart.

    Raises:
        ValueError: an option that no equation of this cell gives.
    """
    check_sizes(cell, hidden_size, projection, norm, heads)
    rows, F = len(cell.gates) * hidden_size, len(cell.feedback) * hidden_size
    width = projection or hidden_size // heads
    sizes: dict[str, tuple[int, ...]] = {
        "weight_ih": (rows, input_size),
        "weight_hh": (rows, sum(width if name == cell.states[0] else hidden_size // heads for name in cell.sources)),
        "bias_ih": (rows,),
        "bias_hh": (rows,),
        "peephole": (len(cell.units), hidden_size),
        "feedback": (F, F),
        "weight_hr": (projection or 0, hidden_size),
        "gain_ih": (rows if norm else 0,),
        "gain_hh": (rows if norm else 0,),
    }
    return {name: size for name, size in sizes.items() if all(size)}


def assemble(cell: Cell, parameters: Mapping[str, Tensor]) -> Weights:
    """The `Weights` of parameters named as in `ROLES`; the first five that a cell does not have are empty."""
    w_GD = parameters["weight_ih"]
    empty = {
        "recurrent_GS": w_GD.new_empty(len(w_GD), 0),
        "peephole_PH": w_GD.new_empty(0, len(w_GD) // len(cell.gates)),
    }
    return Weights(**(empty | {ROLES[name]: tensor for name, tensor in parameters.items()}))


@torch.no_grad()
def initialise(cell: Cell, weights: Weights, forget_bias: float) -> None:
    """Uniform(-1/√H, 1/√H) everywhere, as torch.nn.LSTM; then the forget gate's two biases at `forget_bias` and 0,
    vectors where the cell says, gains at 1.

    A function of torch's generator alone, so that one seed gives one network.
    """
    H = hidden_units(cell, weights)
    bound = 1 / math.sqrt(H)
    for tensor in weights:
        if tensor is not None:
            tensor.uniform_(-bound, bound)
    for gate, sign in cell.forget.items():
        rows = slice(cell.gates.index(gate) * H, (cell.gates.index(gate) + 1) * H)
        weights.input_bias_G[rows] = sign * forget_bias
        weights.recurrent_bias_G[rows] = 0.0
    for name, value in cell.start.items():
        weights.peephole_PH[cell.units.index(name)] = value
    for gain_K in (weights.input_gain_K, weights.recurrent_gain_K):
        if gain_K is not None:
            gain_K.fill_(1.0)
