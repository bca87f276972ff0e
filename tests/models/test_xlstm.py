"""xLSTM's blocks against the paper's equations written out step by step, without its stabiliser."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from gatesweep.models.config import ModelConfig
from gatesweep.models.mlstm_block import MatrixBlock
from gatesweep.models.slstm_block import ScalarBlock
from gatesweep.models.xlstm import XLSTM

H, HEADS, STEPS = 8, 2, 9


def sigmoid(x: NDArray) -> NDArray:
    return 1 / (1 + np.exp(-x))


def normed(x: NDArray, groups: int, weight: NDArray, bias: NDArray) -> NDArray:
    """Each group of units with mean 0 and variance 1, then a gain and a shift of each unit."""
    parts = x.reshape(groups, -1)
    parts = (parts - parts.mean(1, keepdims=True)) / np.sqrt(parts.var(1, keepdims=True) + 1e-5)
    return parts.reshape(-1) * weight + bias


def within_groups(weight_GOI: NDArray, x_I: NDArray) -> NDArray:
    return np.concatenate([w @ x for w, x in zip(weight_GOI, x_I.reshape(len(weight_GOI), -1), strict=True)])


def matrix_block(p: dict[str, NDArray], x_TH: NDArray) -> NDArray:
    E = 2 * H // HEADS
    C, n, seen, rows = np.zeros((HEADS, E, E)), np.zeros((HEADS, E)), [np.zeros(2 * H)] * 3, []
    for x in x_TH:
        u, z = np.split(p["up.weight"] @ normed(x, 1, p["norm.weight"], p["norm.bias"]) + p["up.bias"], 2)
        seen = [*seen, u][-4:]
        a = p["convolution.convolution.bias"] + sum(
            p["convolution.convolution.weight"][:, 0, j] * each for j, each in enumerate(seen))  # fmt: skip
        c = a * sigmoid(a)
        q, k = within_groups(p["query.weight_GOI"], c), within_groups(p["key.weight_GOI"], c)
        v = within_groups(p["value.weight_GOI"], u)
        gates = p["gates.weight"] @ np.concatenate([q, k, v]) + p["gates.bias"]
        i, f, reads = np.exp(gates[:HEADS]), sigmoid(gates[HEADS:]), []
        for head in range(HEADS):
            part = slice(head * E, (head + 1) * E)
            key = k[part] / np.sqrt(E)
            C[head] = f[head] * C[head] + i[head] * np.outer(v[part], key)
            n[head] = f[head] * n[head] + i[head] * key
            reads.append(C[head] @ q[part] / max(abs(n[head] @ q[part]), 1))
        h = normed(np.concatenate(reads), HEADS, p["head_norm.weight"], p["head_norm.bias"]) + p["skip"] * c
        rows.append(x + p["down.weight"] @ (h * z * sigmoid(z)) + p["down.bias"])
    return np.stack(rows)


def scalar_block(p: dict[str, NDArray], x_TH: NDArray) -> NDArray:
    E, h, c, n, rows = H // HEADS, np.zeros(H), np.zeros(H), np.zeros(H), []
    for x in x_TH:
        a = p["cell.weight_ih_l0"] @ normed(x, 1, p["norm.weight"], p["norm.bias"])
        a = a + p["cell.bias_ih_l0"] + p["cell.bias_hh_l0"]
        R = p["cell.weight_hh_l0"].reshape(4, HEADS, E, E)
        a = a.reshape(4, HEADS, E) + np.einsum("gnij,nj->gni", R, h.reshape(HEADS, E))
        i, f, z, o = a.reshape(4, H)
        c, n = sigmoid(f) * c + np.exp(i) * np.tanh(z), sigmoid(f) * n + np.exp(i)
        h = sigmoid(o) * c / n
        y = x + normed(h, HEADS, p["head_norm.weight"], p["head_norm.bias"])
        gate, value = np.split(p["up.weight"] @ normed(y, 1, p["before_map.weight"], p["before_map.bias"])
                               + p["up.bias"], 2)  # fmt: skip
        gelu = functional.gelu(torch.from_numpy(gate)).numpy()
        rows.append(y + p["down.weight"] @ (gelu * value) + p["down.bias"])
    return np.stack(rows)


@pytest.mark.parametrize("backend", ["auto", "reference"])
@pytest.mark.parametrize(("kind", "written"), [(MatrixBlock, matrix_block), (ScalarBlock, scalar_block)])
def test_a_block_is_its_equations_written_out(kind: type[nn.Module], written, backend: str) -> None:
    torch.manual_seed(0)
    block = kind(ModelConfig(family="xlstm", hidden_size=H, heads=HEADS, backend=backend)).double()  # type: ignore[call-arg]
    for p in block.parameters():
        nn.init.normal_(p, std=0.5)
    x = torch.randn(2, STEPS, H, dtype=torch.float64)
    ours, _ = block(x, None, None)
    numbers = {name: tensor.detach().numpy() for name, tensor in block.state_dict().items()}
    expected = np.stack([written(numbers, each.numpy()) for each in x])
    np.testing.assert_allclose(ours.detach().numpy(), expected, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize(("letters", "layers", "kinds"), [
    ("ms", 3, [MatrixBlock, ScalarBlock, MatrixBlock]), ("m", 2, [MatrixBlock] * 2), ("mms", 2, [MatrixBlock] * 2),
])  # fmt: skip
def test_letters_say_which_block_stands_where(letters: str, layers: int, kinds: list[type]) -> None:
    model = XLSTM(ModelConfig(family="xlstm", hidden_size=H, layers=layers, xlstm_blocks=letters), 3)
    assert [type(block) for block in model.blocks] == kinds


def test_the_network_is_its_blocks_between_a_projection_and_a_norm() -> None:
    torch.manual_seed(0)
    model = XLSTM(ModelConfig(family="xlstm", hidden_size=H, layers=2), 3).double().eval()
    x = torch.randn(2, STEPS, 3, dtype=torch.float64)
    h = model.project(x)
    for block in model.blocks:
        h, _ = block(h, None, None)
    assert torch.equal(model(x).outputs_BTO, model.norm(h))
    assert torch.equal(model(x).summary_BO, model.norm(h)[:, -1])
