"""The layer of matrix memories: torch's conventions, initial values, what it refuses."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from gatesweep.cells import MatrixLSTM, Recurrent
from gatesweep.errors import ConfigError, ShapeError

each_backend = pytest.mark.parametrize("backend", ["auto", "parallel", "reference"])


def layer(**options: object) -> MatrixLSTM:
    torch.manual_seed(0)
    return MatrixLSTM(**({"input_size": 3, "hidden_size": 8, "heads": 2} | options)).double()


def sequence(*size: int) -> Tensor:
    return torch.randn(*size, dtype=torch.float64)


def test_recurrent_by_the_name_mlstm_is_this_layer() -> None:
    torch.manual_seed(0)
    by_name = Recurrent("mlstm", input_size=3, hidden_size=8, heads=2).double()
    assert isinstance(by_name, MatrixLSTM)
    x = sequence(5, 2, 3)
    assert torch.equal(by_name(x)[0], layer()(x)[0])
    assert torch.equal(copy.deepcopy(by_name)(x)[0], by_name(x)[0])


def test_the_parallel_form_is_the_reference_through_layers_directions_and_lengths() -> None:
    options = {"num_layers": 2, "bidirectional": True}
    fast, slow = layer(backend="parallel", **options), layer(backend="reference", **options)
    x, lengths = sequence(40, 3, 3), [40, 7, 33]
    (a, states), (b, others) = fast(x, lengths=lengths), slow(x, lengths=lengths)
    for ours, theirs in zip((a, *states), (b, *others), strict=True):
        torch.testing.assert_close(ours, theirs)


@each_backend
def test_a_sequence_cut_in_two_and_carried_on_is_the_whole_sequence(backend: str) -> None:
    model, x = layer(num_layers=2, backend=backend), sequence(9, 2, 3)
    whole, after = model(x)
    first, between = model(x[:4])
    second, end = model(x[4:], between)
    torch.testing.assert_close(torch.cat([first, second]), whole)
    for a, b in zip(end, after, strict=True):
        torch.testing.assert_close(a, b)


@each_backend
def test_what_padding_holds_changes_nothing(backend: str) -> None:
    model, clean, lengths = layer(num_layers=2, bidirectional=True, backend=backend), sequence(6, 3, 3), [2, 5, 3]
    dirty = clean.clone()
    for b, length in enumerate(lengths):
        dirty[length:, b] = float("nan")
    results = []
    for x in (clean, dirty):
        output, state = model(x, lengths=lengths)
        loss = output.square().sum() + sum(s.sum() for s in state)
        results.append([output, *state, *torch.autograd.grad(loss, list(model.parameters()))])
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_the_reverse_direction_is_the_forward_one_on_reversed_time() -> None:
    both, one = layer(bidirectional=True), layer()
    reverse = {name: p for name, p in both.state_dict().items() if name.endswith("_reverse")}
    one.load_state_dict({name.removesuffix("_reverse"): p for name, p in reverse.items()})
    x = sequence(5, 2, 3)
    torch.testing.assert_close(both(x)[0][..., 8:], one(x.flip(0))[0].flip(0))


def test_batch_first_packed_and_alone_are_the_same_numbers_in_other_forms() -> None:
    model, first, x, lengths = layer(), layer(batch_first=True), sequence(5, 2, 3), [5, 3]
    expected, state = model(x, lengths=lengths)
    swapped, other = first(x.transpose(0, 1), lengths=lengths)
    assert torch.equal(swapped.transpose(0, 1), expected)
    packed, third = model(pack_padded_sequence(x, torch.tensor(lengths)))
    torch.testing.assert_close(pad_packed_sequence(packed)[0], expected)
    alone, last = model(x[:3, 1], tuple(torch.zeros_like(s[:, 1]) for s in state))
    torch.testing.assert_close(alone, expected[:3, 1])
    for a, b, c, d in zip(state, other, third, last, strict=True):
        torch.testing.assert_close(b, a)
        torch.testing.assert_close(c, a)
        torch.testing.assert_close(d, a[:, 1])


def test_residual_connections_and_dropout_act_between_layers() -> None:
    x, plain = sequence(5, 2, 8), layer(input_size=8, num_layers=2)
    residual = layer(input_size=8, num_layers=2, residual=True)
    below = layer(input_size=8)
    below.load_state_dict({name: p for name, p in plain.state_dict().items() if name.endswith("_l0")})
    torch.testing.assert_close(residual(x)[0], plain(x)[0] + below(x)[0])
    dropping = layer(input_size=8, num_layers=2, dropout=0.5)
    assert not torch.equal(dropping(x)[0], dropping(x)[0])
    assert torch.equal(dropping.eval()(x)[0], plain(x)[0])
    locked = layer(input_size=8, variational_dropout=0.5)(x)[0]
    assert torch.equal((locked == 0).all(0), (locked == 0).any(0))  # one mask for all steps
    assert (locked == 0).any()


def test_the_state_has_a_matrix_a_vector_and_a_number_for_each_head() -> None:
    model = layer(num_layers=2, bidirectional=True)
    _, (C, n, m) = model(sequence(5, 3, 3))
    assert [tuple(s.shape) for s in (C, n, m)] == [(4, 3, 2, 4, 4), (4, 3, 2, 4), (4, 3, 2)]


def test_weights_start_within_one_over_the_root_of_the_hidden_size_and_forget_gates_at_their_bias() -> None:
    model = layer(hidden_size=64, heads=4, forget_bias=2.5, bidirectional=True)
    bound = 1 / math.sqrt(64)
    for reverse in (False, True):
        parts = model.gate_parameters(0, reverse=reverse)
        assert torch.equal(parts["bias"]["f"], torch.full((4,), 2.5, dtype=torch.float64))
        assert [(gate, len(w)) for gate, w in parts["input"].items()] == [
            ("q", 64), ("k", 64), ("v", 64), ("i", 4), ("f", 4), ("o", 64)]  # fmt: skip
        assert all(w.abs().max() <= bound for w in parts["input"].values())
        assert parts["input"]["q"].std().item() == pytest.approx(bound / math.sqrt(3), rel=0.25)


def test_autocast_trains_it_in_the_weights_precision() -> None:
    model = MatrixLSTM(input_size=3, hidden_size=8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output, _ = model(torch.randn(5, 2, 3).bfloat16())
    output.float().sum().backward()
    assert all(p.grad is not None and p.grad.dtype == torch.float32 and p.grad.isfinite().all()
               for p in model.parameters())


@pytest.mark.parametrize(("options", "error", "message"), [
    ({"heads": 3}, ConfigError, "3 heads do not divide 8 hidden units"),
    ({"peepholes": True, "layer_norm": True}, ConfigError, "'mlstm' has no peepholes, layer_norm"),
    ({"weight_drop": 0.1}, ConfigError, "'mlstm' has no weight_drop"),
    ({"learned_state": True, "chrono": 9}, ConfigError, "'mlstm' has no learned_state, chrono"),
    ({"backend": "fused"}, ConfigError, "backend 'fused' cannot run cell 'mlstm'"),
    ({"backend": "torch"}, ConfigError, "torch has no kernel for cell 'mlstm'"),
    ({"hidden_size": 0}, ShapeError, "hidden_size is 0"),
])  # fmt: skip
def test_layers_that_no_equation_gives_are_refused(options, error, message: str) -> None:
    with pytest.raises(error, match=message):
        Recurrent("mlstm", **({"input_size": 3, "hidden_size": 8, "heads": 2} | options))


@pytest.mark.parametrize(("state", "message"), [
    ((torch.zeros(1, 2, 2, 4, 4),), "1 tensors, mlstm carries 3: C, n, m"),
    ((torch.zeros(1, 2, 2, 4, 4), torch.zeros(1, 2, 2, 4), torch.zeros(1, 2)), r"initial m is \[1, 2\]"),
    ((torch.zeros(1, 2, 8), torch.zeros(1, 2, 8), torch.zeros(1, 2, 8)), r"initial C is \[1, 2, 8\], expected \[1, 2"),
])  # fmt: skip
def test_states_that_do_not_fit_are_refused(state, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        layer()(sequence(5, 2, 3), state)
