"""The neural Turing machine against Graves et al.'s equations, each written out with loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from gatesweep.models import addressing
from gatesweep.models.config import ModelConfig
from gatesweep.models.memory import MemoryEncoder

N, W = 5, 3


def sigmoid(x: NDArray) -> NDArray:
    return 1 / (1 + np.exp(-x))


def written_address(raw_P: NDArray, memory_NW: NDArray, before_N: NDArray) -> NDArray:
    """Equations 5 to 9 of one head."""
    slots, width = memory_NW.shape
    key = np.tanh(raw_P[:width])
    strength, gate = math.log1p(math.exp(raw_P[width])), sigmoid(raw_P[width + 1])
    shift = np.exp(raw_P[width + 2 : width + 5]) / np.exp(raw_P[width + 2 : width + 5]).sum()
    sharpness = 1 + math.log1p(math.exp(raw_P[width + 5]))
    like = [key @ row / math.sqrt((key @ key + 1e-4) * (row @ row + 1e-4)) for row in memory_NW]
    content = np.exp([strength * each for each in like])
    content /= content.sum()
    gated = gate * content + (1 - gate) * before_N
    shifted = [sum(gated[(n - j) % slots] * shift[k] for k, j in enumerate((-1, 0, 1))) for n in range(slots)]
    sharp = np.array(shifted) ** sharpness
    return sharp / sharp.sum()


def written_machine(model: MemoryEncoder, x_TD: NDArray, heads: int) -> NDArray:
    """The whole machine of an Elman controller, over one sequence."""
    p = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    size = W + 6
    memory, look = np.zeros((N, W)), np.eye(N)[np.zeros(2 * heads, int)]
    h, r, outputs = np.zeros(len(p["controller.bias_ih_l0"])), np.zeros(heads * W), []
    for x_D in x_TD:
        h = np.tanh(p["controller.weight_ih_l0"] @ np.concatenate([x_D, r]) + p["controller.bias_ih_l0"]
                    + p["controller.weight_hh_l0"] @ h + p["controller.bias_hh_l0"])  # fmt: skip
        raw = p["interface.weight"] @ h + p["interface.bias"]
        look = np.stack([written_address(raw[a * size : (a + 1) * size], memory, look[a]) for a in range(2 * heads)])
        rest = raw[2 * heads * size :]
        erase, add = sigmoid(rest[: heads * W]).reshape(heads, W), np.tanh(rest[heads * W :]).reshape(heads, W)
        for a in range(heads):
            memory = memory * (1 - np.outer(look[heads + a], erase[a]))
        for a in range(heads):
            memory = memory + np.outer(look[heads + a], add[a])
        r = np.concatenate([look[a] @ memory for a in range(heads)])
        outputs.append(p["output.weight"] @ np.concatenate([h, r]) + p["output.bias"])
    return np.stack(outputs)


@pytest.mark.parametrize("heads", [1, 2])
def test_it_is_graves_machine_written_out(heads: int) -> None:
    torch.manual_seed(0)
    model = MemoryEncoder(ModelConfig(family="memory", cell="rnn", hidden_size=6, memory_slots=N, memory_width=W,
                                      memory_heads=heads), 4).double()  # fmt: skip
    for p in model.parameters():
        nn.init.normal_(p, std=0.7)  # far from where it starts: every equation bends
    x = torch.randn(2, 12, 4, dtype=torch.float64)
    expected = np.stack([written_machine(model, each.numpy(), heads) for each in x])
    np.testing.assert_allclose(model(x).outputs_BTO.detach().numpy(), expected, rtol=1e-9, atol=1e-11)


def test_where_a_head_looks_is_a_distribution_whatever_the_controller_asks() -> None:
    raw = torch.randn(200, 2, W + 6, generator=torch.Generator().manual_seed(0)) * 50
    memory = torch.randn(200, N, W, generator=torch.Generator().manual_seed(1)) * 50
    memory[:50] = 0
    before = torch.eye(N)[torch.zeros(200, 2, dtype=torch.long)]
    raw.requires_grad_()
    w = addressing.weights(addressing.address(raw, W), memory, before)
    torch.testing.assert_close(w.sum(-1), torch.ones(200, 2))
    assert (w >= 0).all()
    (w * torch.randn(w.shape)).sum().backward()
    assert raw.grad is not None
    assert raw.grad.isfinite().all()


def test_a_strong_key_finds_the_slot_that_holds_it() -> None:
    memory = torch.eye(W).repeat(1, 2, 1)[:, :N] * torch.tensor([1.0, 1, 1, -1, -1])[:, None]
    asked = addressing.Address(torch.tensor([[[0.0, 1, 0]]]), torch.full((1, 1), 50.0), torch.ones(1, 1),
                               torch.tensor([[[0.0, 1, 0]]]), torch.ones(1, 1))  # fmt: skip
    w = addressing.weights(asked, memory, torch.full((1, 1, N), 1 / N))
    assert w[0, 0].argmax() == 1
    assert w[0, 0, 1] > 0.99


@pytest.mark.parametrize(("shift", "slot"), [(0, N - 1), (1, 0), (2, 1)])
def test_a_shift_moves_from_slot_to_slot_and_around_the_ends(shift: int, slot: int) -> None:
    asked = addressing.Address(torch.zeros(1, 1, W), torch.zeros(1, 1), torch.zeros(1, 1),
                               torch.eye(3)[shift][None, None], torch.ones(1, 1))  # fmt: skip
    w = addressing.weights(asked, torch.randn(1, N, W), torch.eye(N)[0][None, None])
    torch.testing.assert_close(w[0, 0], torch.eye(N)[slot])


def test_what_is_written_at_full_weight_replaces_what_was_there() -> None:
    memory, add = torch.randn(1, N, W), torch.randn(1, 1, W)
    after = addressing.write(torch.eye(N)[2][None, None], torch.ones(1, 1, W), add, memory)
    torch.testing.assert_close(after[0, 2], add[0, 0])
    torch.testing.assert_close(after[0, [0, 1, 3, 4]], memory[0, [0, 1, 3, 4]])


def test_it_learns_to_copy_what_it_saw() -> None:
    """Graves et al.'s first task, of 2 vectors of 4 bits: by guessing, a bit costs log 2 = 0.693."""
    torch.manual_seed(0)
    model = MemoryEncoder(ModelConfig(family="memory", hidden_size=24, memory_slots=6, memory_width=8), 6)
    head, generator = nn.Linear(24, 4), torch.Generator().manual_seed(1)
    optimizer = torch.optim.Adam([*model.parameters(), *head.parameters()], lr=3e-2)
    losses = []
    for _ in range(120):
        bits = torch.randint(0, 2, (32, 2, 4), generator=generator).float()
        x = torch.zeros(32, 5, 6)
        x[:, :2, :4], x[:, 2, 4], x[:, 3:, 5] = bits, 1.0, 1.0
        loss = nn.functional.binary_cross_entropy_with_logits(head(model(x).outputs_BTO[:, 3:]), bits)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-10:]) / 10 < 0.15
