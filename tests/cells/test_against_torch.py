"""vanilla, gru and rnn against torch.nn's own LSTM, GRU and RNN: values, states and every gradient, in float64."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from gatesweep.cells import Recurrent

T, B, D, H = 6, 4, 3, 5
TWINS = {"vanilla": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}
STACKS = [{}, {"num_layers": 2}, {"bidirectional": True}, {"num_layers": 2, "bidirectional": True, "batch_first": True}]

cells = pytest.mark.parametrize("cell", TWINS)
backends = pytest.mark.parametrize("backend", ["native", "torch", "fused", "reference"])
stacks = pytest.mark.parametrize("stack", STACKS, ids=lambda kw: "-".join(kw) or "plain")


def twins(cell: str, backend: str, stack: dict[str, Any]) -> tuple[Recurrent, nn.Module]:
    """A layer and torch's module with the same weights."""
    torch.manual_seed(3)
    theirs = TWINS[cell](D, H, **stack).double()
    ours = Recurrent(cell, input_size=D, hidden_size=H, backend=backend, **stack).double()
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def flat(outputs: Any) -> list[Tensor]:
    return [outputs] if isinstance(outputs, Tensor) else [t for part in outputs for t in flat(part)]


def assert_same(ours: list[Tensor], theirs: list[Tensor]) -> None:
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


def gradients(outputs: list[Tensor], by: list[Tensor]) -> list[Tensor]:
    """Of a sum that weighs every output differently, so that no two mistakes cancel."""
    weighed = [(y * torch.linspace(-1, 2, y.numel(), dtype=y.dtype).view_as(y)).sum() for y in outputs]
    return list(torch.autograd.grad(torch.stack(weighed).sum(), by))


def example(cell: str, stack: dict[str, Any]) -> tuple[Tensor, Any]:
    n = stack.get("num_layers", 1) * (2 if stack.get("bidirectional") else 1)
    x = torch.randn((B, T, D) if stack.get("batch_first") else (T, B, D), dtype=torch.float64, requires_grad=True)
    h, c = (torch.randn(n, B, H, dtype=torch.float64, requires_grad=True) for _ in range(2))
    return x, (h, c) if cell == "vanilla" else h


@cells
@backends
@stacks
def test_outputs_states_and_gradients_equal_torchs(cell: str, backend: str, stack: dict[str, Any]) -> None:
    ours, theirs = twins(cell, backend, stack)
    x, state = example(cell, stack)
    got, expected = flat(ours(x, state)), flat(theirs(x, state))
    assert_same(got, expected)
    assert_same(gradients(got, [x, *flat(state), *ours.parameters()]),
                gradients(expected, [x, *flat(state), *theirs.parameters()]))


@cells
@backends
def test_without_a_state_the_layer_starts_from_zeros_as_torch_does(cell: str, backend: str) -> None:
    ours, theirs = twins(cell, backend, {"num_layers": 2})
    x, _ = example(cell, {})
    assert_same(flat(ours(x)), flat(theirs(x)))


@cells
@backends
@stacks
def test_lengths_equal_torchs_packed_sequences(cell: str, backend: str, stack: dict[str, Any]) -> None:
    ours, theirs = twins(cell, backend, stack)
    x, state = example(cell, stack)
    lengths, batch_first = torch.tensor([4, 6, 1, 4]), stack.get("batch_first", False)
    packed = pack_padded_sequence(x, lengths, batch_first=batch_first, enforce_sorted=False)
    y, last = theirs(packed, state)
    expected = [pad_packed_sequence(y, batch_first=batch_first, total_length=T)[0], *flat(last)]
    got = flat(ours(x, state, lengths=lengths))
    assert_same(got, expected)
    assert_same(gradients(got, [x, *flat(state), *ours.parameters()]),
                gradients(expected, [x, *flat(state), *theirs.parameters()]))


@cells
def test_float32_back_ends_agree_to_rounding(cell: str) -> None:
    outputs = []
    for backend in ("torch", "native", "fused", "reference"):
        ours, _ = twins(cell, backend, {"num_layers": 2, "bidirectional": True})
        outputs.append(ours.float()(torch.linspace(-2, 2, T * B * D).view(T, B, D))[0])
    for other in outputs[1:]:
        torch.testing.assert_close(other, outputs[0], rtol=0, atol=1e-6)


@pytest.mark.parametrize(("cell", "peepholes"), [("np", None), ("peephole", False), ("vanilla", False)])
def test_an_lstm_without_peepholes_is_torchs_lstm_by_any_name(cell: str, peepholes: bool | None) -> None:
    torch.manual_seed(0)
    theirs = nn.LSTM(D, H)
    ours = Recurrent(cell, input_size=D, hidden_size=H, peepholes=peepholes, backend="torch")
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(T, B, D)
    assert torch.equal(ours(x)[0], theirs(x)[0])


@pytest.mark.parametrize("backend", ["native", "fused", "reference"])
def test_peephole_with_zero_peepholes_equals_torch_lstm(backend: str) -> None:
    torch.manual_seed(0)
    theirs = nn.LSTM(D, H).double()
    ours = Recurrent("peephole", input_size=D, hidden_size=H, backend=backend).double()
    ours.load_state_dict(theirs.state_dict() | {"peephole_l0": torch.zeros(3, H, dtype=torch.float64)})
    x = torch.randn(T, B, D, dtype=torch.float64)
    assert_same(flat(ours(x)), flat(theirs(x)))
