"""Weights from and to Keras and TensorFlow: their LSTM is vanilla, GRU gru, GRU with reset_after=False gru_before, and
SimpleRNN rnn.

    layer = Recurrent("vanilla", input_size=8, hidden_size=64, num_layers=2)
    from_keras(layer, keras_model.get_weights())             keras_model.set_weights(to_keras(layer))

The arrays stand as `get_weights()` gives them: for each layer, for each direction (keras.layers.Bidirectional: forward,
then backward) kernel, recurrent kernel, bias. What differs from torch's form:

    kernel [D, GH], recurrent kernel [H, GH]    transposed
    gates                                       LSTM i f c o = i f z o;   GRU z r h = z r n, where torch has r z n
    bias                                        one [GH] for torch's two;   GRU with reset_after: [2, GH], input first

Shape suffixes: D inputs, H hidden units, G gates times H; in the table above G counts gates.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gatesweep.cells.layer import Recurrent
from gatesweep.errors import ConfigError, ShapeError

Array = npt.NDArray[Any]

GATES = {"vanilla": ("i", "f", "z", "o"), "gru": ("z", "r", "n"), "gru_before": ("z", "r", "n"), "rnn": ("h",)}
"""Our gates in Keras' order."""

_ROLES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


class _One(NamedTuple):
    """One layer's parameters in one direction."""

    place: str
    weight_ih: Tensor
    weight_hh: Tensor
    bias_ih: Tensor
    bias_hh: Tensor


@torch.no_grad()
def to_keras(layer: Recurrent) -> list[Array]:
    """The weights as `set_weights` of the Keras layers takes them, or of a model of nothing else.

    Raises:
        ConfigError: Keras has no such cell, or no place for one of the layer's parameters.
    """
    arrays: list[Array] = []
    for one in _each(layer):
        bias = torch.stack([one.bias_ih, one.bias_hh]) if layer.cell.apart else one.bias_ih + one.bias_hh
        arrays += [
            _numpy(_ordered(layer, one.weight_ih.t())),
            _numpy(_ordered(layer, one.weight_hh.t())),
            _numpy(_ordered(layer, bias)),
        ]
    return arrays


@torch.no_grad()
def from_keras(layer: Recurrent, weights: Sequence[Array]) -> None:
    """Give the layer the weights that `get_weights` of the Keras layers returned; without biases they are zeros.

    Raises:
        ConfigError: Keras has no such cell, or no place for one of the layer's parameters.
        ShapeError: as many arrays, or arrays of such sizes, as another network has. The layer is then left as it was.
    """
    ones = list(_each(layer))
    size = next((n for n in (3, 2) if len(weights) == n * len(ones)), None)
    if size is None:
        raise ShapeError(f"{len(weights)} arrays for {len(ones)} layers and directions: each has 3, or 2 without bias",
                         hint="pass what get_weights() of the recurrent layers returns")
    ready = []
    for k, one in enumerate(ones):
        given = [torch.as_tensor(np.asarray(array)) for array in weights[size * k : size * (k + 1)]]
        apart = bool(layer.cell.apart)
        if size == 2:
            given.append(torch.zeros((2, len(one.bias_ih)) if apart else (len(one.bias_ih),)))
        kernel, recurrent, bias = (_ordered(layer, g, back=True) for g in _checked(one, given, apart))
        halves = tuple(bias) if apart else (bias, torch.zeros_like(bias))
        ready.append((one, (kernel.t(), recurrent.t(), *halves)))
    for one, tensors in ready:
        for parameter, tensor in zip(one[1:], tensors, strict=True):
            parameter.copy_(tensor)


def _each(layer: Recurrent) -> Iterator[_One]:
    if layer.cell.name not in GATES:
        raise ConfigError(f"Keras has no cell '{layer.cell.name}'", hint=f"it has {', '.join(GATES)}")
    strangers = [name for name, _ in layer.named_parameters() if not name.startswith(_ROLES)]
    strangers += ["heads"] if layer.config.heads > 1 else []
    if strangers:
        raise ConfigError(f"Keras' layers have no place for {', '.join(strangers)}")
    for number in range(layer.num_layers):
        for suffix in (f"_l{number}", f"_l{number}_reverse")[: layer.directions]:
            place = f"layer {number}{', reversed' if suffix.endswith('reverse') else ''}"
            yield _One(place, *(layer.get_parameter(role + suffix) for role in _ROLES))


def _checked(one: _One, given: Sequence[Tensor], apart: bool) -> Sequence[Tensor]:
    G, D = one.weight_ih.shape
    expected = {"kernel": (D, G), "recurrent kernel": (one.weight_hh.shape[1], G), "bias": (2, G) if apart else (G,)}
    for (what, shape), tensor in zip(expected.items(), given, strict=True):
        if tuple(tensor.shape) != shape:
            other = apart and tuple(tensor.shape) == (G,)
            raise ShapeError(f"{one.place}: the {what} is {list(tensor.shape)}, expected {list(shape)}",
                             hint="a GRU with reset_after=False is cell 'gru_before'" if other else None)
    return given


def _ordered(layer: Recurrent, tensor: Tensor, back: bool = False) -> Tensor:
    """The gates, along the last dimension, from our order to Keras', or back."""
    to, since = GATES[layer.cell.name], layer.cell.gates
    if back:
        to, since = since, to
    parts = dict(zip(since, tensor.chunk(len(since), dim=-1), strict=True))
    return torch.cat([parts[gate] for gate in to], dim=-1)


def _numpy(tensor: Tensor) -> Array:
    array: Array = tensor.contiguous().cpu().numpy()
    return array
