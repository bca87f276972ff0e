"""The forms in which a layer takes sequences: packed, alone, batch first; as torch.nn.LSTM, GRU and RNN take them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from gatesweep.cells import Recurrent
from gatesweep.cells.names import NAMES
from gatesweep.errors import ShapeError

T, B, D, H = 6, 4, 3, 5
TWINS = {"vanilla": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}
STACK = {"num_layers": 2, "bidirectional": True}
SORTED, UNSORTED = torch.tensor([6, 4, 4, 1]), torch.tensor([4, 6, 1, 4])

twin_cells = pytest.mark.parametrize("cell", TWINS)
each_cell = pytest.mark.parametrize("cell", NAMES)
backends = pytest.mark.parametrize("backend", ["native", "torch", "fused", "reference"])


def twins(cell: str, **options: Any) -> tuple[Recurrent, nn.Module]:
    torch.manual_seed(3)
    theirs = TWINS[cell](D, H, **STACK).double()
    ours = Recurrent(cell, input_size=D, hidden_size=H, **STACK, **options).double()
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def flat(outputs: Any) -> list[Tensor]:
    if isinstance(outputs, PackedSequence):
        return [outputs.data]
    return [outputs] if isinstance(outputs, Tensor) else [t for part in outputs for t in flat(part)]


def assert_same(ours: list[Tensor], theirs: list[Tensor]) -> None:
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


def gradients(outputs: list[Tensor], by: list[Tensor]) -> list[Tensor]:
    weighed = [(y * torch.linspace(-1, 2, y.numel(), dtype=y.dtype).view_as(y)).sum() for y in outputs]
    return list(torch.autograd.grad(torch.stack(weighed).sum(), by, retain_graph=True))


@twin_cells
@backends
@pytest.mark.parametrize(("lengths", "enforce_sorted"), [(SORTED, True), (SORTED, False), (UNSORTED, False)])
@pytest.mark.parametrize("with_state", [False, True])
def test_a_packed_batch_equals_torchs(cell, backend, lengths, enforce_sorted, with_state) -> None:
    ours, theirs = twins(cell, backend=backend)
    x = draw(T, B, D).requires_grad_()
    packed = pack_padded_sequence(x, lengths, enforce_sorted=enforce_sorted)
    state = None
    if with_state:
        state = (draw(4, B, H), draw(4, B, H)) if cell == "vanilla" else draw(4, B, H)
    got, expected = ours(packed, state), theirs(packed, state)
    for ours_part, theirs_part in zip(got[0][1:], expected[0][1:], strict=True):  # batch sizes, order and its inverse
        assert (ours_part is None) == (theirs_part is None)
        assert ours_part is None or torch.equal(ours_part, theirs_part)
    assert_same(flat(got), flat(expected))
    # The graph from x to the packed batch is the same one for both, so it must outlive the first.
    assert_same(gradients(flat(got), [x, *ours.parameters()]), gradients(flat(expected), [x, *theirs.parameters()]))


@each_cell
def test_a_packed_batch_equals_lengths(cell: str) -> None:
    torch.manual_seed(0)
    layer = Recurrent(cell, input_size=D, hidden_size=H, **STACK).double()
    x = draw(T, B, D)
    packed, state = layer(pack_padded_sequence(x, UNSORTED, enforce_sorted=False))
    padded, other = layer(x, lengths=UNSORTED)
    assert_same([pad_packed_sequence(packed)[0], *flat(state)], [padded, *flat(other)])


@each_cell
def test_a_packed_batch_is_packed_whatever_batch_first_says(cell: str) -> None:
    torch.manual_seed(0)
    layer = Recurrent(cell, input_size=D, hidden_size=H, batch_first=True).double()
    x = draw(B, T, D)
    packed, _ = layer(pack_padded_sequence(x, UNSORTED, batch_first=True, enforce_sorted=False))
    assert_same([pad_packed_sequence(packed, batch_first=True)[0]], [layer(x, lengths=UNSORTED)[0]])


@twin_cells
@backends
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("with_state", [False, True])
def test_a_sequence_alone_equals_torchs(cell, backend, batch_first, with_state) -> None:
    ours, theirs = twins(cell, backend=backend, batch_first=batch_first)
    x, state = draw(T, D), None
    if with_state:
        state = (draw(4, H), draw(4, H)) if cell == "vanilla" else draw(4, H)
    got, expected = flat(ours(x, state)), flat(theirs(x, state))
    assert [t.shape for t in got] == [t.shape for t in expected]
    assert_same(got, expected)


def test_lengths_beside_what_knows_its_own_are_refused() -> None:
    layer = Recurrent(input_size=D, hidden_size=H).double()
    packed = pack_padded_sequence(draw(T, B, D), SORTED)
    with pytest.raises(ShapeError, match="packed batch knows its length"):
        layer(packed, lengths=SORTED)
    with pytest.raises(ShapeError, match="sequence alone knows its length"):
        layer(draw(T, D), lengths=[T])


def test_a_batch_of_states_for_a_sequence_alone_is_refused() -> None:
    layer = Recurrent("gru", input_size=D, hidden_size=H).double()
    with pytest.raises(ShapeError, match=r"\[layers \* directions, hidden units\]; these are \[\[1, 1, 5\]\]"):
        layer(draw(T, D), draw(1, 1, H))


def test_a_packed_batch_of_other_inputs_is_refused() -> None:
    with pytest.raises(ShapeError, match="made for 3 inputs a step, this has 4"):
        Recurrent(input_size=D, hidden_size=H).double()(pack_padded_sequence(draw(T, B, 4), SORTED))
