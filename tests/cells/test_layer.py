"""The layer: torch's conventions, initial values, lengths, what it refuses, and what it gives to look at."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from gatesweep.cells import Recurrent
from gatesweep.cells.names import INNER_CELLS, NAMES
from gatesweep.errors import ConfigError, ShapeError

each_cell = pytest.mark.parametrize("cell", NAMES)
each_way = pytest.mark.parametrize(("cell", "backend"), [
    (cell, backend) for cell in NAMES for backend in ("auto", "fused", "reference")
    if backend != "fused" or cell not in INNER_CELLS
])  # fmt: skip


def states(state: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (state,) if isinstance(state, Tensor) else state


@each_way
def test_a_sequence_cut_in_two_and_carried_on_is_the_whole_sequence(cell: str, backend: str) -> None:
    layer = Recurrent(cell, input_size=3, hidden_size=4, num_layers=2, backend=backend).double()
    x = torch.randn(9, 2, 3, dtype=torch.float64)
    whole, after = layer(x)
    first, between = layer(x[:4])
    second, end = layer(x[4:], between)
    torch.testing.assert_close(torch.cat([first, second]), whole)
    for a, b in zip(states(end), states(after), strict=True):
        torch.testing.assert_close(a, b)


@each_cell
def test_the_reverse_direction_is_the_forward_one_on_reversed_time(cell: str) -> None:
    both = Recurrent(cell, input_size=3, hidden_size=4, bidirectional=True).double()
    one = Recurrent(cell, input_size=3, hidden_size=4).double()
    reverse = {name: p for name, p in both.state_dict().items() if name.endswith("_reverse")}
    one.load_state_dict({name.removesuffix("_reverse"): p for name, p in reverse.items()})
    x = torch.randn(5, 2, 3, dtype=torch.float64)
    torch.testing.assert_close(both(x)[0][..., 4:], one(x.flip(0))[0].flip(0))


@each_way
def test_what_padding_holds_changes_nothing(cell: str, backend: str) -> None:
    torch.manual_seed(1)
    layer = Recurrent(cell, input_size=3, hidden_size=4, num_layers=2, bidirectional=True, backend=backend).double()
    clean, lengths = torch.randn(6, 3, 3, dtype=torch.float64), [2, 5, 3]
    dirty = clean.clone()
    for b, length in enumerate(lengths):
        dirty[length:, b] = float("nan")
    results = []
    for x in (clean, dirty):
        output, state = layer(x, lengths=lengths)
        loss = output.square().sum() + sum(s.sum() for s in states(state))
        results.append([output, *states(state), *torch.autograd.grad(loss, list(layer.parameters()))])
    for a, b in zip(*results, strict=True):
        assert torch.equal(a, b)


@each_way
def test_each_sequence_of_a_batch_comes_out_as_if_it_were_alone(cell: str, backend: str) -> None:
    layer = Recurrent(cell, input_size=3, hidden_size=4, bidirectional=True, backend=backend).double()
    x, lengths = torch.randn(6, 3, 3, dtype=torch.float64), [2, 6, 4]
    output, state = layer(x, lengths=lengths)
    for b, length in enumerate(lengths):
        alone, last = layer(x[:length, b : b + 1])
        torch.testing.assert_close(output[:length, b : b + 1], alone)
        assert not output[length:, b].any()
        for s, s_alone in zip(states(state), states(last), strict=True):
            torch.testing.assert_close(s[:, b : b + 1], s_alone)


def test_batch_first_swaps_the_input_and_the_output_but_not_the_state() -> None:
    torch.manual_seed(0)
    time_first = Recurrent("peephole", input_size=3, hidden_size=4)
    batch_first = Recurrent("peephole", input_size=3, hidden_size=4, batch_first=True)
    batch_first.load_state_dict(time_first.state_dict())
    x = torch.randn(5, 2, 3)
    (y, state), (z, other) = time_first(x), batch_first(x.transpose(0, 1))
    assert torch.equal(y, z.transpose(0, 1))
    assert all(torch.equal(a, b) for a, b in zip(state, other, strict=True))


@each_cell
def test_weights_start_within_one_over_the_root_of_the_hidden_size(cell: str) -> None:
    layer = Recurrent(cell, input_size=40, hidden_size=25, num_layers=2, forget_bias=0.0)
    bound = 1 / math.sqrt(25)
    for name, p in layer.named_parameters():
        assert p.abs().max() <= bound
        if "weight" in name or "peephole" in name:
            assert p.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.25)  # a uniform draw, not a constant


@pytest.mark.parametrize(("cell", "gate", "expected"),
                         [("vanilla", "f", 1.5), ("peephole", "f", 1.5), ("coupled", "i", -1.5)])
def test_the_forget_gate_starts_at_its_bias_in_every_layer_and_direction(cell, gate, expected) -> None:
    layer = Recurrent(cell, input_size=3, hidden_size=4, num_layers=2, bidirectional=True, forget_bias=1.5)
    for n in range(2):
        for reverse in (False, True):
            bias = layer.gate_parameters(n, reverse=reverse)["bias"]
            assert torch.equal(bias[gate], torch.full((4,), expected))
            assert all(bias[other].abs().max() <= 1.0 for other in bias if other != gate)


@each_cell
def test_initial_values_are_a_function_of_torchs_seed_alone(cell: str) -> None:
    drawn = []
    for seed in (7, 7, 8):
        torch.manual_seed(seed)
        drawn.append(torch.cat([p.flatten() for p in Recurrent(cell, input_size=3, hidden_size=4).parameters()]))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_gate_parameters_are_the_layers_own_by_gate() -> None:
    layer = Recurrent("peephole", input_size=3, hidden_size=4, num_layers=2)
    parts = layer.gate_parameters(1)
    assert {role: list(gates) for role, gates in parts.items()} == {
        "input": list("ifzo"), "recurrent": list("ifzo"), "bias": list("ifzo"), "peephole": list("ifo"),
    }  # fmt: skip
    assert torch.equal(parts["input"]["z"], layer.get_parameter("weight_ih_l1")[8:12])
    assert torch.equal(parts["recurrent"]["o"], layer.get_parameter("weight_hh_l1")[12:])
    assert torch.equal(parts["peephole"]["f"], layer.get_parameter("peephole_l1")[1])
    both = layer.get_parameter("bias_ih_l1") + layer.get_parameter("bias_hh_l1")
    assert torch.equal(parts["bias"]["i"], both[:4])
    with torch.no_grad():
        parts["input"]["z"].zero_()
    assert not layer.get_parameter("weight_ih_l1")[8:12].any()


def test_the_grus_candidate_keeps_its_two_biases_apart() -> None:
    layer = Recurrent("gru", input_size=3, hidden_size=4)
    bias = layer.gate_parameters(0)["bias"]
    assert torch.equal(bias["n"], layer.get_parameter("bias_ih_l0")[8:])
    assert torch.equal(bias["n_recurrent"], layer.get_parameter("bias_hh_l0")[8:])


@pytest.mark.parametrize(("layer", "reverse"), [(2, False), (-1, False), (0, True)])
def test_gate_parameters_of_a_layer_that_is_not_there_are_refused(layer: int, reverse: bool) -> None:
    with pytest.raises(ShapeError, match="this has 2 in one direction"):
        Recurrent(input_size=3, hidden_size=4, num_layers=2).gate_parameters(layer, reverse=reverse)


def test_dropout_acts_between_layers_in_training_and_nowhere_else() -> None:
    torch.manual_seed(0)
    x = torch.randn(5, 2, 3)
    single = Recurrent("coupled", input_size=3, hidden_size=4, dropout=0.5)
    assert torch.equal(single(x)[0], single(x)[0])
    double = Recurrent("coupled", input_size=3, hidden_size=4, num_layers=2, dropout=0.5)
    assert not torch.equal(double(x)[0], double(x)[0])
    assert (double(x)[0] != 0).all()  # the last layer's output is whole
    double.eval()
    assert torch.equal(double(x)[0], double(x)[0])


@each_cell
def test_autocast_trains_every_cell(cell: str) -> None:
    layer = Recurrent(cell, input_size=3, hidden_size=4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output, _ = layer(torch.randn(5, 2, 3).bfloat16())
    output.float().sum().backward()
    for p in layer.parameters():
        assert p.grad is not None
        assert p.grad.dtype == torch.float32
        assert p.grad.isfinite().all()


@each_cell
def test_a_state_that_autocast_made_narrower_is_read_as_the_number_it_is(cell: str) -> None:
    torch.manual_seed(0)
    layer, x = Recurrent(cell, input_size=3, hidden_size=4), torch.randn(5, 2, 3)
    _, last = layer(x)
    narrow = last.bfloat16() if isinstance(last, Tensor) else tuple(s.bfloat16() for s in last)
    wide = narrow.float() if isinstance(narrow, Tensor) else tuple(s.float() for s in narrow)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output, _ = layer(x, narrow)
        expected, _ = layer(x, wide)
    assert torch.equal(output, expected)


@each_cell
def test_nothing_is_kept_for_backward_where_no_gradient_is_wanted(cell: str) -> None:
    layer = Recurrent(cell, input_size=3, hidden_size=4)
    with torch.inference_mode():
        output, _ = layer(torch.randn(5, 2, 3))
    assert output.shape == (5, 2, 4)
    assert not output.requires_grad


GOOD = torch.zeros(5, 2, 3)


@pytest.mark.parametrize(("x", "message"), [
    (torch.zeros(3), r"three dimensions \(time, batch, inputs\), or two .* this has \[3\]"),
    (torch.zeros(5, 2, 3, 1), r"this has \[5, 2, 3, 1\]"),
    (torch.zeros(0, 3), "empty sequence: 0 time steps"),
    (torch.zeros(5, 2, 4), "made for 3 inputs a step, this has 4"),
    (torch.zeros(3, 5, 2), "batch_first=True"),
    (torch.zeros(0, 2, 3), "empty sequence: 0 time steps"),
    (torch.zeros(5, 0, 3), "empty sequence: 5 time steps, 0 in the batch"),
    (GOOD.double(), r"input is torch.float64, the layer's weights are torch.float32"),
    (GOOD.long(), r"input is torch.int64"),
])  # fmt: skip
@each_cell
def test_inputs_that_do_not_fit_are_refused(cell: str, x: Tensor, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        Recurrent(cell, input_size=3, hidden_size=4)(x)


@pytest.mark.parametrize(("lengths", "message"), [
    ([5], "2 integers, one for each sequence"), ([5, 6], "from 5 to 6; the batch holds 1 to 5"),
    ([0, 5], "leave sequences without a step out"), (torch.tensor([2.0, 3.0]), "2 integers"),
])  # fmt: skip
def test_lengths_that_do_not_fit_are_refused(lengths, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        Recurrent(input_size=3, hidden_size=4)(GOOD, lengths=lengths)


@pytest.mark.parametrize(("cell", "state", "message"), [
    ("vanilla", torch.zeros(1, 2, 4), "1 tensors, this cell carries 2: h, c"),
    ("gru", (torch.zeros(1, 2, 4),) * 2, "2 tensors, this cell carries 1: h"),
    ("peephole", (torch.zeros(1, 2, 4), torch.zeros(1, 2, 5)), r"initial c is \[1, 2, 5\], expected \[1, 2, 4\]"),
    ("rnn", torch.zeros(2, 4), r"initial h is \[2, 4\]"),
    ("gru", torch.zeros(1, 2, 4).bfloat16(), "initial h is torch.bfloat16, the layer's weights are torch.float32"),
    ("vanilla", (torch.zeros(1, 2, 4), torch.zeros(1, 2, 4).double()), "initial c is torch.float64"),
])  # fmt: skip
def test_states_that_do_not_fit_are_refused(cell: str, state, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        Recurrent(cell, input_size=3, hidden_size=4)(GOOD, state)


@pytest.mark.parametrize(("options", "error", "message"), [
    ({"cell": "lstm"}, ConfigError, "did you mean 'vanilla'"),
    ({"cell": "gru", "peepholes": True}, ConfigError, "no cell state"),
    ({"cell": "coupled", "backend": "torch"}, ConfigError, "torch has no kernel for cell 'coupled'"),
    ({"backend": "cuda"}, ConfigError, "backend: input should be 'auto', .* not 'cuda'"),
    ({"hidden_size": 0}, ShapeError, "hidden_size is 0"),
    ({"num_layers": 0}, ShapeError, "num_layers is 0"),
    ({"dropout": 1.0}, ConfigError, "dropout: .* less than 1, not 1.0"),
    ({"droput": 0.5}, ConfigError, "unknown key 'droput'\n\nhint: did you mean 'dropout'"),
    ({"cell": "rnn", "chrono": 100}, ConfigError, "chrono: cell 'rnn' has no gate that forgets"),
    ({"chrono": 2}, ConfigError, "chrono: .* greater than or equal to 3, not 2"),
    ({"weight_drop": 1.0}, ConfigError, "weight_drop: .* less than 1"),
    ({"variational_dropout": -0.1}, ConfigError, "variational_dropout: .* greater than or equal to 0"),
])  # fmt: skip
def test_layers_that_no_equation_gives_are_refused(options, error, message: str) -> None:
    with pytest.raises(error, match=message):
        Recurrent(**({"input_size": 3, "hidden_size": 4} | options))


def test_the_layer_tells_what_it_is() -> None:
    layer = Recurrent("peephole", input_size=3, hidden_size=4, num_layers=2)
    assert repr(layer) == ("Recurrent(peephole, 3, 4, num_layers=2, bidirectional=False, dropout=0.0, peepholes=True, "
                           "backend=native)")


def test_a_layer_tells_the_options_that_were_given() -> None:
    layer = Recurrent("gru", input_size=3, hidden_size=4, weight_drop=0.25, chrono=100)
    assert repr(layer).endswith("backend=native, chrono=100, weight_drop=0.25)")


@each_way
def test_each_parameter_has_a_gradient_of_its_own_to_clip_and_to_add_to(cell: str, backend: str) -> None:
    """Two backward passes are twice the first; a factor in place, as clipping multiplies one in, acts once."""
    layer = Recurrent(cell, input_size=3, hidden_size=4, num_layers=2, backend=backend).double()
    x = torch.randn(5, 2, 3, dtype=torch.float64)
    parameters = list(layer.parameters())
    once = torch.autograd.grad(layer(x)[0].square().sum(), parameters)
    for _ in range(2):
        layer(x)[0].square().sum().backward()
    gradients = [p.grad for p in parameters if p.grad is not None]
    assert len(gradients) == len(parameters)
    for gradient in gradients:
        gradient.mul_(0.5)
    for gradient, expected in zip(gradients, once, strict=True):
        torch.testing.assert_close(gradient, expected)
