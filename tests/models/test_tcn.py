"""The temporal convolutional network against loops over steps and taps."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from gatesweep.models.config import ModelConfig
from gatesweep.models.convolution import Convolution
from gatesweep.models.tcn import TemporalConvolution


def convolved(x_TC: NDArray, weight_ACK: NDArray, bias_A: NDArray, dilation: int, causal: bool) -> NDArray:
    steps, taps = len(x_TC), weight_ACK.shape[2]
    past = (taps - 1) * dilation
    y_TA = np.tile(bias_A, (steps, 1))
    for t in range(steps):
        for j in range(taps):
            s = t - past + j * dilation + (0 if causal else past // 2)
            if 0 <= s < steps:
                y_TA[t] += weight_ACK[:, :, j] @ x_TC[s]
    return y_TA


def by_loops(model: TemporalConvolution, x_TC: NDArray, causal: bool) -> NDArray:
    p = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    for level in range(len(model.blocks)):
        y_TC, block = x_TC, f"blocks.{level}"
        for each in range(2):
            name = f"{block}.convolutions.{each}.convolution"
            length, direction = p[f"{block}.convolutions.{each}.length_A11"], p[f"{name}.weight"]
            weight = length * direction / np.sqrt((direction**2).sum((1, 2), keepdims=True))
            y_TC = np.maximum(convolved(y_TC, weight, p[f"{name}.bias"], 2**level, causal), 0)
        if f"{block}.shortcut.weight" in p:
            x_TC = x_TC @ p[f"{block}.shortcut.weight"][:, :, 0].T + p[f"{block}.shortcut.bias"]
        x_TC = np.maximum(x_TC + y_TC, 0)
    return x_TC


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("kernel_size", [1, 2, 3, 4])
def test_it_is_its_blocks_written_out(causal: bool, kernel_size: int) -> None:
    torch.manual_seed(0)
    config = ModelConfig(family="tcn", hidden_size=6, layers=3, kernel_size=kernel_size)
    model = TemporalConvolution(config, 3, causal=causal).double().eval()
    for name, p in model.named_parameters():  # a length starts as its direction's own
        if name.endswith("length_A11"):
            p.data.uniform_(0.5, 2.0)
    x = torch.randn(2, 15, 3, dtype=torch.float64)
    expected = np.stack([by_loops(model, each.numpy(), causal) for each in x])
    np.testing.assert_allclose(model(x).outputs_BTO.detach().numpy(), expected, rtol=1e-10, atol=1e-12)


def test_weights_start_as_torchs_and_are_its_weight_norm() -> None:
    torch.manual_seed(0)
    ours = Convolution(3, 4, 2, normalised=True)
    torch.manual_seed(0)
    theirs, x = weight_norm(nn.Conv1d(3, 4, 2)), torch.randn(2, 3, 5)
    torch.testing.assert_close(ours(x)[0][..., 1:], theirs(x))
    pairs = ((ours.length_A11, theirs.parametrizations.weight.original0),
             (ours.convolution.weight, theirs.parametrizations.weight.original1))  # fmt: skip
    ours(x)[0][..., 1:].square().sum().backward()
    theirs(x).square().sum().backward()
    for a, b in pairs:
        torch.testing.assert_close(a.grad, b.grad, atol=1e-5, rtol=1e-5)


def test_as_many_inputs_as_units_pass_unchanged() -> None:
    model = TemporalConvolution(ModelConfig(family="tcn", hidden_size=6), 6)
    assert "blocks.0.shortcut.weight" not in model.state_dict()


@pytest.mark.parametrize(("layers", "kernel_size"), [(1, 3), (2, 3), (3, 2), (2, 5)])
def test_a_step_sees_as_far_back_as_documented(layers: int, kernel_size: int) -> None:
    torch.manual_seed(0)
    config = ModelConfig(family="tcn", hidden_size=32, layers=layers, kernel_size=kernel_size)
    model = TemporalConvolution(config, 1, causal=True).double()
    x = torch.randn(1, 40, 1, dtype=torch.float64, requires_grad=True)
    model(x).summary_BO.sum().backward()
    assert x.grad is not None
    reached = 40 - int(x.grad.flatten().nonzero().min())
    assert reached == 1 + 2 * (kernel_size - 1) * (2**layers - 1)
