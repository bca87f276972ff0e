"""What every option of the layer owes, and those around the loop: locked dropout, dropped weights, learned states, …"""

from __future__ import annotations

import copy
import math
import pickle
from typing import Any

import layer_options as options
import pytest
import torch
from layer_options import B, D, H, T, draw, made, of_layer, packed, states
from pydantic import ValidationError
from torch import Tensor, nn

from gatesweep.cells import Recurrent
from gatesweep.cells.dropout import locked
from gatesweep.cells.names import NAMES
from gatesweep.errors import ConfigError
from gatesweep.models.config import ModelConfig

each_cell = pytest.mark.parametrize("cell", NAMES)
each_option = pytest.mark.parametrize(("cell", "option"), options.every())
each_regulariser = pytest.mark.parametrize(("cell", "option"), options.every(options.REGULARISERS))
CHRONO = [cell for cell in NAMES if cell not in options.OPTIONS["chrono"][1]]
RECURRENT = [cell for cell in NAMES if cell not in options.INPUT_ALONE]


# What every option owes.


@each_option
def test_every_option_trains_every_parameter_of_every_cell(cell: str, option: dict[str, Any]) -> None:
    layer = made(cell, num_layers=2, bidirectional=True, **option)
    before = [p.detach().clone() for p in layer.parameters()]
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    layer(draw(T, B, D), lengths=[7, 3, 5])[0].square().sum().backward()
    optimizer.step()
    stuck = [name for (name, p), old in zip(layer.named_parameters(), before, strict=True) if torch.equal(p, old)]
    assert stuck == []


@pytest.mark.parametrize(("cell", "option"), options.refused())
def test_an_option_that_has_no_meaning_for_a_cell_is_refused_before_anything_runs(cell: str, option) -> None:
    with pytest.raises(ConfigError, match=f"cell '{cell}"):
        made(cell, **option)
    with pytest.raises(ValidationError, match=f"cell '{cell}"):
        ModelConfig(cell=cell, hidden_size=H, **option)


@each_regulariser
def test_masks_are_a_function_of_torchs_seed_alone(cell: str, option: dict[str, Any]) -> None:
    layer, x, outputs = made(cell, num_layers=2, **option), draw(T, B, D), []
    for seed in (7, 7, 8):
        torch.manual_seed(seed)
        outputs.append(layer(x)[0])
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.equal(outputs[0], outputs[2])


@pytest.mark.parametrize(("cell", "option"), options.every(options.REGULARISERS[:5]))
def test_out_of_training_a_layer_with_dropout_is_the_plain_one(cell: str, option: dict[str, Any]) -> None:
    plain, regularised = made(cell, num_layers=2), made(cell, num_layers=2, **option)
    x = draw(T, B, D)
    assert not torch.equal(regularised(x)[0], plain(x)[0])
    assert torch.equal(regularised.eval()(x)[0], plain(x)[0])


@pytest.mark.parametrize(("cell", "option"), options.every(cells=("vanilla", "fgr", "slstm", "gru_before", "mingru")))
def test_gradients_reach_the_state_that_a_chunk_was_given(cell: str, option: dict[str, Any]) -> None:
    """Against finite differences, with the same masks at every evaluation."""
    layer, x = made(cell, num_layers=2, **option), draw(3, 2, D)
    given = [s.detach() + draw(*s.shape).exp() for s in states(layer(x)[1])]  # what some cell divides by is above 0

    def chunk(*state: Tensor) -> tuple[Tensor, ...]:
        torch.manual_seed(11)
        output, after = layer(x, packed(state))
        return output, *states(after)

    assert torch.autograd.gradcheck(chunk, [s.requires_grad_() for s in given])


@each_option
def test_out_of_training_chunks_that_carry_the_state_are_the_whole_sequence(cell: str, option: dict[str, Any]) -> None:
    layer = made(cell, num_layers=2, **option).eval()
    x = draw(T, B, D)
    whole, after = layer(x)
    first, between = layer(x[:3])
    second, end = layer(x[3:], between)
    torch.testing.assert_close(torch.cat([first, second]), whole)
    for a, b in zip(states(end), states(after), strict=True):
        torch.testing.assert_close(a, b)


@each_option
def test_in_training_too_the_state_that_is_carried_is_the_cells_own(cell: str, option: dict[str, Any]) -> None:
    """No masked copy is among it, and what comes back may go in again."""
    layer, x = made(cell, **option), draw(T, B, D)
    state = layer(x)[1]
    assert len(states(state)) == len(layer.cell.states)
    assert layer(x, state)[0].isfinite().all()


@pytest.mark.parametrize(("cell", "option"), [*options.every(("residual",)), *options.every(cells=("vanilla",))])
def test_a_layer_survives_copying_and_pickling(cell: str, option: dict[str, Any]) -> None:
    layer, x = made(cell, num_layers=2, **option).eval(), draw(T, B, D)
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert torch.equal(twin(x)[0], layer(x)[0])
        assert repr(twin) == repr(layer)


# Variational dropout.


def test_a_locked_mask_is_one_for_all_steps_and_keeps_the_expectation() -> None:
    torch.manual_seed(0)
    mask = locked(torch.ones(6, 200, 300), 0.2)
    assert (mask == mask[0]).all()
    assert sorted(mask.unique().tolist()) == pytest.approx([0.0, 1 / 0.8])
    assert mask[0].mean().item() == pytest.approx(1.0, abs=5 * 0.5 / math.sqrt(200 * 300))
    assert not torch.equal(mask[0, 0], mask[0, 1])


@each_cell
def test_variational_dropout_acts_on_every_layers_input_and_on_the_last_output(cell: str) -> None:
    """A twin of single layers, with the masks drawn by hand in the same order."""
    layer, x = made(cell, num_layers=2, variational_dropout=0.4), draw(T, B, D)
    torch.manual_seed(5)
    output, _ = layer(x)
    torch.manual_seed(5)
    masks = [torch.empty(B, n, dtype=torch.float64).bernoulli_(0.6) / 0.6 for n in (D, H, H)]
    y = x
    for n, size in enumerate((D, H)):
        single = Recurrent(cell, input_size=size, hidden_size=H).double()
        single.load_state_dict(of_layer(layer, n))
        y, _ = single(y * masks[n])
    torch.testing.assert_close(output, y * masks[2])


def test_the_state_that_is_carried_on_is_whole() -> None:
    layer = made("vanilla", variational_dropout=0.5)
    output, (h, _) = layer(draw(T, B, D))
    assert (output == 0).any()
    assert (h != 0).all()


# DropConnect on the recurrent weights.


@pytest.mark.parametrize("cell", RECURRENT)
def test_weight_drop_is_the_plain_layer_with_one_set_of_dropped_weights_for_the_whole_pass(cell: str) -> None:
    layer, x = made(cell, weight_drop=0.4), draw(T, B, D)
    torch.manual_seed(5)
    output, _ = layer(x)
    torch.manual_seed(5)
    names = [name for name in ("weight_hh_l0", "feedback_l0") if name in layer.state_dict()]
    dropped = {name: nn.functional.dropout(layer.get_parameter(name), 0.4).detach() for name in names}
    plain = made(cell)
    plain.load_state_dict(layer.state_dict() | dropped)
    torch.testing.assert_close(output, plain(x)[0])


def test_dropped_weights_get_no_gradient_and_the_parameters_stay_raw() -> None:
    layer = made("vanilla", weight_drop=0.4)
    raw = layer.get_parameter("weight_hh_l0").detach().clone()
    layer(draw(T, B, D))[0].square().sum().backward()
    weight = layer.get_parameter("weight_hh_l0")
    assert torch.equal(weight, raw)
    assert weight.grad is not None
    assert (weight.grad == 0).double().mean().item() == pytest.approx(0.4, abs=0.2)


# Learned initial states.


@each_cell
def test_a_learned_state_starts_at_zeros_and_is_where_every_sequence_begins(cell: str) -> None:
    layer, x = made(cell, num_layers=2, bidirectional=True, learned_state=True), draw(T, B, D)
    plain = made(cell, num_layers=2, bidirectional=True)
    assert torch.equal(layer(x)[0], plain(x)[0])
    learned = {name: p for name, p in layer.named_parameters() if name.startswith("initial_")}
    expected = {"h"} if cell == "slstm" else {"h", "c"} & set(layer.cell.states)
    assert set(learned) == {f"initial_{name}" for name in expected}
    with torch.no_grad():
        for p in learned.values():
            p.normal_()
    fixed = {name: torch.full((4, H), layer.cell.initial.get(name, 0.0)).double() for name in layer.cell.states}
    spread = [learned.get(f"initial_{name}", first).unsqueeze(1).expand(4, B, H) for name, first in fixed.items()]
    torch.testing.assert_close(layer(x)[0], plain(x, packed(tuple(spread)))[0])


def test_a_state_that_is_given_takes_the_place_of_the_learned_one() -> None:
    layer, x, state = made("gru", learned_state=True), draw(T, B, D), draw(1, B, H)
    with torch.no_grad():
        layer.get_parameter("initial_h").fill_(9.0)
    assert torch.equal(layer(x, state)[0], made("gru")(x, state)[0])


# Residual connections.


@each_cell
def test_each_layer_above_the_first_adds_what_it_reads(cell: str) -> None:
    layer, x = made(cell, num_layers=3, residual=True), draw(T, B, D)
    y, finals = x, []
    for n, size in enumerate((D, H, H)):
        single = Recurrent(cell, input_size=size, hidden_size=H).double()
        single.load_state_dict(of_layer(layer, n))
        out, last = single(y)
        y = out if n == 0 else y + out
        finals.append(states(last)[0])
    output, state = layer(x)
    torch.testing.assert_close(output, y)
    torch.testing.assert_close(states(state)[0], torch.cat(finals))


# Chrono initialisation.

KEEPS = {"coupled": ("i", -1), "cifg": ("i", -1), "gru": ("z", 1), "gru_before": ("z", 1), "mingru": ("z", -1)}
"""The gate that decides how much of the state is kept, and the sign that opens it; elsewhere f."""


@pytest.mark.parametrize("cell", CHRONO)
def test_chrono_spreads_the_units_memories_evenly_up_to_the_longest(cell: str) -> None:
    """The gate that keeps the state does so for 1 / (1 - σ(b)) steps: uniform from 2 to T_max."""
    torch.manual_seed(0)
    bias = Recurrent(cell, input_size=1, hidden_size=4000, chrono=101, backend="reference").bias_ih_l0.detach()
    cell_gates = Recurrent(cell, input_size=1, hidden_size=1).cell.gates
    gates = dict(zip(cell_gates, bias.chunk(len(cell_gates)), strict=True))
    gate, sign = KEEPS.get(cell, ("f", 1))
    steps = (1 / (1 - (sign * gates[gate]).double().sigmoid())).sort().values
    assert steps.min() >= 2
    assert steps.max() <= 101 + 1e-3
    uniform = torch.linspace(2, 101, 4000, dtype=torch.float64)
    assert ((steps - uniform).abs().max() / 99).item() < 1.95 / math.sqrt(4000)  # Kolmogorov & Smirnov, 0.1 %
    if {"i", "f"} <= set(gates):
        assert torch.equal(gates["i"], -gates["f"])


@pytest.mark.parametrize("cell", CHRONO)
def test_chrono_leaves_the_other_gates_as_they_were_drawn(cell: str) -> None:
    chrono, plain = made(cell, chrono=1000), made(cell)
    set_ = {"i", "f", KEEPS.get(cell, ("f", 1))[0]}
    others = [gate for gate in chrono.cell.gates if gate not in set_]
    assert others
    for gate in others:
        assert torch.equal(chrono.gate_parameters()["bias"][gate], plain.gate_parameters()["bias"][gate])
