"""Weights from and to other libraries: torch's own modules, and real Keras layers on Keras' torch backend."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from gatesweep.cells import Recurrent
from gatesweep.cells.convert import from_keras, to_keras
from gatesweep.errors import ConfigError, ShapeError

B, T, D, H = 3, 6, 4, 5
TORCH = {"vanilla": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}
KERAS = {"vanilla": "LSTM", "gru": "GRU", "gru_before": "GRU", "rnn": "SimpleRNN"}
STACKS = [{}, {"num_layers": 2}, {"bidirectional": True}, {"num_layers": 2, "bidirectional": True}]

torch_cells = pytest.mark.parametrize("cell", TORCH)
cells = pytest.mark.parametrize("cell", KERAS)
stacks = pytest.mark.parametrize("stack", STACKS, ids=lambda kw: "-".join(kw) or "plain")


@pytest.fixture(scope="module")
def keras(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """Keras reads its backend, and writes its settings, when it is first imported."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_BACKEND", "torch")
        patch.setenv("KERAS_HOME", os.fspath(tmp_path_factory.mktemp("keras")))
        module = importlib.import_module("keras")
        assert module.backend.backend() == "torch"
        yield module


def made(cell: str, **stack: Any) -> Recurrent:
    torch.manual_seed(4)
    return Recurrent(cell, input_size=D, hidden_size=H, batch_first=True, **stack)


def keras_twin(keras: ModuleType, cell: str, stack: dict[str, Any], **options: Any) -> Any:
    """The same stack of Keras layers, with weights and biases that Keras did not leave at zero."""
    keras.utils.set_random_seed(6)
    options |= {"reset_after": cell == "gru"} if KERAS[cell] == "GRU" else {}
    one = [getattr(keras.layers, KERAS[cell])(H, return_sequences=True, bias_initializer="random_normal", **options)
           for _ in range(stack.get("num_layers", 1))]  # fmt: skip
    if stack.get("bidirectional"):
        one = [keras.layers.Bidirectional(layer) for layer in one]
    return keras.Sequential([keras.Input((T, D)), *one])


def sequences() -> np.ndarray:
    return np.random.default_rng(8).normal(size=(B, T, D)).astype("float32")


def outputs(layer: Recurrent, x: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return layer(torch.from_numpy(x))[0].numpy()


def keras_outputs(twin: Any, x: np.ndarray) -> np.ndarray:
    return twin(x).detach().cpu().numpy()


@torch_cells
@stacks
def test_a_layers_state_dict_is_torchs_and_torchs_is_the_layers(cell: str, stack: dict[str, Any]) -> None:
    ours, theirs = made(cell, **stack), TORCH[cell](D, H, batch_first=True, **stack)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    theirs.load_state_dict(ours.state_dict())
    x = torch.from_numpy(sequences())
    torch.testing.assert_close(ours(x)[0], theirs(x)[0])
    theirs.reset_parameters()
    ours.load_state_dict(theirs.state_dict())
    torch.testing.assert_close(ours(x)[0], theirs(x)[0])


@cells
@stacks
def test_a_layer_with_keras_weights_computes_what_keras_computes(keras, cell: str, stack: dict[str, Any]) -> None:
    twin, layer, x = keras_twin(keras, cell, stack), made(cell, **stack), sequences()
    from_keras(layer, twin.get_weights())
    np.testing.assert_allclose(outputs(layer, x), keras_outputs(twin, x), rtol=0, atol=2e-6)


@cells
@stacks
def test_keras_with_a_layers_weights_computes_what_it_computes(keras, cell: str, stack: dict[str, Any]) -> None:
    twin, layer, x = keras_twin(keras, cell, stack), made(cell, **stack), sequences()
    twin.set_weights(to_keras(layer))
    np.testing.assert_allclose(keras_outputs(twin, x), outputs(layer, x), rtol=0, atol=2e-6)


@cells
@stacks
def test_keras_weights_come_back_as_they_went_in(keras, cell: str, stack: dict[str, Any]) -> None:
    twin, layer = keras_twin(keras, cell, stack), made(cell, **stack)
    from_keras(layer, twin.get_weights())
    for a, b in zip(to_keras(layer), twin.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@cells
def test_keras_layers_without_biases_are_taken(keras, cell: str) -> None:
    twin, layer, x = keras_twin(keras, cell, {}, use_bias=False), made(cell), sequences()
    from_keras(layer, twin.get_weights())
    np.testing.assert_allclose(outputs(layer, x), keras_outputs(twin, x), rtol=0, atol=2e-6)


def test_a_keras_gru_that_resets_before_is_refused_and_the_layer_left_as_it_was(keras) -> None:
    twin, layer = keras_twin(keras, "gru_before", {"num_layers": 2}), made("gru", num_layers=2)
    before = {name: p.clone() for name, p in layer.state_dict().items()}
    good, bad = to_keras(layer), twin.get_weights()
    with pytest.raises(ShapeError, match=r"layer 1: the bias is \[15\].*\n\nhint: .* cell 'gru_before'"):
        from_keras(layer, [2 * array for array in good[:3]] + bad[3:])
    assert all(torch.equal(p, before[name]) for name, p in layer.state_dict().items())


def test_keras_weights_of_another_network_are_refused() -> None:
    layer = made("vanilla", bidirectional=True)
    arrays = to_keras(layer)
    with pytest.raises(ShapeError, match="5 arrays for 2 layers and directions"):
        from_keras(layer, arrays[:5])
    with pytest.raises(ShapeError, match=r"layer 0, reversed: the kernel is \[20, 4\], expected \[4, 20\]"):
        from_keras(layer, [*arrays[:3], arrays[3].T, *arrays[4:]])


@pytest.mark.parametrize(("options", "message"), [
    ({"cell": "coupled"}, "Keras has no cell 'coupled'\n\nhint: it has vanilla, gru, gru_before, rnn"),
    ({"cell": "peephole"}, "Keras has no cell 'peephole'"),
    ({"cell": "gru", "learned_state": True}, "no place for initial_h"),
    ({"cell": "vanilla", "proj_size": 2}, "no place for weight_hr_l0"),
    ({"cell": "vanilla", "heads": 5}, "no place for heads"),
])  # fmt: skip
def test_what_keras_cannot_hold_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        to_keras(made(**options))
