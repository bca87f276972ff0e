"""One layer's parameters in one direction, and the uniform form in which the loops use them.

Shape suffixes: D inputs, H hidden units, G gates times H, K pre-activations times H, S sources times H, P peepholes.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from gatesweep.cells.description import Cell


class Weights(NamedTuple):
    """As torch.nn.LSTM keeps them: gates stacked in the rows, two biases; and one peephole row for each that looks."""

    input_GD: Tensor
    recurrent_GS: Tensor
    input_bias_G: Tensor
    recurrent_bias_G: Tensor
    peephole_PH: Tensor


class Uniform(NamedTuple):
    """Every pre-activation as W x + R s + b; a half that a pre-activation lacks is a block of zeros."""

    input_KD: Tensor
    recurrent_KS: Tensor
    bias_K: Tensor


def uniform(cell: Cell, weights: Weights) -> Uniform:
    """The weights with the gates of `apart` split in two: input rows above, their recurrent rows below."""
    if not cell.apart:
        return Uniform(weights.input_GD, weights.recurrent_GS, weights.input_bias_G + weights.recurrent_bias_G)
    n = len(cell.gates)
    input_, recurrent = weights.input_GD.chunk(n), weights.recurrent_GS.chunk(n)
    bias, bias_rec = weights.input_bias_G.chunk(n), weights.recurrent_bias_G.chunk(n)
    split = [cell.gates.index(gate) for gate in cell.apart]
    above_R = [torch.zeros_like(r) if k in split else r for k, r in enumerate(recurrent)]
    above_b = [b if k in split else b + bias_rec[k] for k, b in enumerate(bias)]
    return Uniform(
        torch.cat([*input_, *(torch.zeros_like(input_[k]) for k in split)]),
        torch.cat([*above_R, *(recurrent[k] for k in split)]),
        torch.cat([*above_b, *(bias_rec[k] for k in split)]),
    )


def shapes(cell: Cell, input_size: int, hidden_size: int) -> dict[str, tuple[int, ...]]:
    """Sizes of the parameters, by torch.nn.LSTM's names; `peephole` only where the cell has some."""
    rows = len(cell.gates) * hidden_size
    sizes: dict[str, tuple[int, ...]] = {
        "weight_ih": (rows, input_size),
        "weight_hh": (rows, len(cell.sources) * hidden_size),
        "bias_ih": (rows,),
        "bias_hh": (rows,),
    }
    return sizes | ({"peephole": (len(cell.peepholes), hidden_size)} if cell.peepholes else {})


@torch.no_grad()
def initialise(cell: Cell, weights: Weights, forget_bias: float) -> None:
    """Uniform(-1/√H, 1/√H) everywhere, as torch.nn.LSTM; then the forget gate's two biases at `forget_bias` and 0.

    A function of torch's generator alone, so that one seed gives one network.
    """
    hidden = weights.recurrent_GS.shape[0] // len(cell.gates)
    bound = 1 / math.sqrt(hidden)
    for tensor in weights:
        tensor.uniform_(-bound, bound)
    for gate, sign in cell.forget.items():
        rows = slice(cell.gates.index(gate) * hidden, (cell.gates.index(gate) + 1) * hidden)
        weights.input_bias_G[rows] = sign * forget_bias
        weights.recurrent_bias_G[rows] = 0.0
