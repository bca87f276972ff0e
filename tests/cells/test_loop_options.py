"""Options inside the loop, each against its equation written out by hand or against torch: zoneout, recurrent dropout,
clipping, layer norm, projection, heads.

Shape suffixes: T time steps, B batch, H hidden units.
"""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from layer_options import LSTMS, B, D, H, T, draw, made, packed, states
from torch import Tensor, nn
from torch.nn import functional

from gatesweep.cells import Recurrent, backends
from gatesweep.cells.config import RecurrentConfig
from gatesweep.cells.dropout import masks
from gatesweep.cells.loop import looped
from gatesweep.cells.names import INNER_CELLS, NAMES
from gatesweep.errors import ConfigError

each_backend = pytest.mark.parametrize("backend", ["native", "fused", "reference"])


def lstm(
    layer: Recurrent, x_TBD: Tensor, *, read_BH: Any = 1, candidate_TBH: Any = None, clip: float = math.inf,
    norm: bool = False,
) -> Tensor:  # fmt: skip
    """torch's LSTM by hand, with the options' factors where their papers put them; [T, B, H]."""
    w = dict(layer.named_parameters())
    h = c = torch.zeros(B, H, dtype=torch.float64)
    output = []
    for t, x_BD in enumerate(x_TBD):
        a, r = x_BD @ w["weight_ih_l0"].t(), (h * read_BH) @ w["weight_hh_l0"].t()
        if norm:
            a, r = (functional.layer_norm(y, (4 * H,)) * w[f"gain_{k}_l0"] for y, k in ((a, "ih"), (r, "hh")))
        i, f, z, o = (a + r + w["bias_ih_l0"] + w["bias_hh_l0"]).chunk(4, 1)
        z = torch.tanh(z) * (1 if candidate_TBH is None else candidate_TBH[t])
        c = (torch.sigmoid(f) * c + torch.sigmoid(i) * z).clamp(-clip, clip)
        seen = functional.layer_norm(c, (H,)) * w["peephole_l0"][0] + w["peephole_l0"][1] if norm else c
        h = torch.sigmoid(o) * torch.tanh(seen)
        output.append(h)
    return torch.stack(output)


def bernoulli(p: float, *shape: int) -> Tensor:
    return torch.empty(*shape, dtype=torch.float64).bernoulli_(p)


# Zoneout.


@pytest.mark.parametrize("cell", NAMES)
@pytest.mark.parametrize("training", [True, False])
@each_backend
def test_zoneout_keeps_the_old_value_where_its_mask_says_so_and_is_the_mean_in_evaluation(
    cell: str, training: bool, backend: str
) -> None:
    if cell in INNER_CELLS and backend == "fused":
        backend = "reference"
    zoned = {"zoneout_h": 0.3} | ({"zoneout_c": 0.6} if cell in LSTMS else {})
    layer, plain = made(cell, backend=backend, **zoned).train(training), made(cell, backend="reference")
    x = draw(T, B, D)
    torch.manual_seed(5)
    got, after = layer(x)
    torch.manual_seed(5)
    kept = {name[-1]: bernoulli(p, T, B, H) if training else torch.full((T, B, H), p, dtype=torch.float64)
            for name, p in zoned.items()}  # fmt: skip
    state = [torch.full((1, B, H), layer.cell.initial.get(name, 0.0)).double() for name in layer.cell.states]
    for t in range(T):
        new = states(plain(x[t : t + 1], packed(tuple(state)))[1])
        mixed = {name: kept[name][t] if name in kept else 0.0 for name in layer.cell.states}
        state = [m * old + (1 - m) * s for m, old, s in zip(mixed.values(), state, new, strict=True)]
        torch.testing.assert_close(got[t], state[0][0])
    for a, b in zip(states(after), state, strict=True):
        torch.testing.assert_close(a, b)


# Recurrent dropout.


@each_backend
def test_semeniutas_dropout_is_of_the_candidate_anew_at_every_step(backend: str) -> None:
    layer, x = made("vanilla", recurrent_dropout=0.4, backend=backend), draw(T, B, D)
    torch.manual_seed(5)
    got, _ = layer(x)
    torch.manual_seed(5)
    torch.testing.assert_close(got, lstm(layer, x, candidate_TBH=bernoulli(0.6, T, B, H) / 0.6))


@each_backend
def test_gals_dropout_is_of_h_where_the_recurrent_weights_read_it_with_one_mask(backend: str) -> None:
    layer = made("vanilla", recurrent_dropout=0.4, recurrent_dropout_kind="gal", backend=backend)
    x = draw(T, B, D)
    torch.manual_seed(5)
    got, _ = layer(x)
    torch.manual_seed(5)
    torch.testing.assert_close(got, lstm(layer, x, read_BH=bernoulli(0.6, B, H) / 0.6))


@pytest.mark.parametrize("cell", ["gru", "rnn", "fgr", "slstm"])
def test_gals_dropout_from_a_given_state_reads_it_through_the_mask_too(cell: str) -> None:
    """A first step alone: the plain layer with the columns of its recurrent weights scaled by the mask."""
    layer = made(cell, recurrent_dropout=0.4, recurrent_dropout_kind="gal")
    x, state = draw(1, 1, D), packed(tuple(draw(1, 1, H).exp() for _ in layer.cell.states))
    torch.manual_seed(5)
    got, _ = layer(x, state)
    torch.manual_seed(5)
    plain = made(cell)
    torch.manual_seed(5)
    with torch.no_grad():
        plain.get_parameter("weight_hh_l0").mul_(bernoulli(0.6, 1, H) / 0.6)
    torch.testing.assert_close(got, plain(x, state)[0])


@pytest.mark.parametrize(("options", "means"), [
    ({"zoneout_h": 0.3, "zoneout_c": 0.6, "recurrent_dropout": 0.2}, [0.3, 0.6, 1.0]),
    ({"recurrent_dropout": 0.2, "recurrent_dropout_kind": "gal"}, [1.0]),
])  # fmt: skip
def test_masks_have_the_expectation_that_evaluation_uses(options: dict[str, Any], means: list[float]) -> None:
    torch.manual_seed(0)
    config = RecurrentConfig(**options)
    drawn = masks(looped(config, training=True), config, 50, torch.empty(40, 60), training=True)
    assert drawn is not None
    assert drawn.shape == (50, len(means), 40, 60)
    each = 50 * 40 * 60 if "zoneout_h" in options else 40 * 60  # Gal's mask is one for all steps
    for mask, mean in zip(drawn.unbind(1), means, strict=True):
        assert mask.mean().item() == pytest.approx(mean, abs=5 * 0.5 / math.sqrt(each))
    if "zoneout_h" not in options:
        assert (drawn == drawn[0]).all()


def test_in_evaluation_recurrent_dropout_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "_compiled", lambda kind: False)  # torch's kernels run nothing but the plain cell
    layer = made("vanilla", recurrent_dropout=0.5)
    assert (layer.backend, layer.eval().backend) == ("fused", "torch")


# Clipping and normalising.


@each_backend
def test_the_cell_state_is_clipped_before_h_is_formed(backend: str) -> None:
    layer, x = made("vanilla", cell_clip=0.1, backend=backend), 3 * draw(T, B, D)
    output, (_, c) = layer(x)
    torch.testing.assert_close(output, lstm(layer, x, clip=0.1))
    assert c.abs().max() == 0.1


def test_layer_norm_is_of_both_halves_of_the_pre_activations_and_of_the_cell_state() -> None:
    layer, x = made("vanilla", layer_norm=True), draw(T, B, D)
    with torch.no_grad():
        for name, p in layer.named_parameters():
            if name.startswith(("gain", "peephole")):
                p.add_(0.3 * torch.randn_like(p))
    torch.testing.assert_close(layer(x)[0], lstm(layer, x, norm=True))


def test_gains_start_at_one_and_the_cell_states_shift_at_zero() -> None:
    parts = made("peephole", layer_norm=True, num_layers=2).gate_parameters(1)
    assert {name: v.unique().tolist() for name, v in parts["vector"].items()} == {"c_gain": [1.0], "c_bias": [0.0]}
    assert all((gain == 1).all() for role in ("input_gain", "recurrent_gain") for gain in parts[role].values())
    assert list(parts["peephole"]) == list("ifo")


# Projection.

STACKS = [{}, {"num_layers": 2}, {"num_layers": 2, "bidirectional": True, "batch_first": True}]


@pytest.mark.parametrize("stack", STACKS, ids=lambda kw: "-".join(kw) or "plain")
@pytest.mark.parametrize("lengths", [None, [7, 2, 4]])
@pytest.mark.parametrize("with_state", [True, False])
def test_a_projected_layer_equals_torchs(stack: dict[str, Any], lengths: list[int] | None, with_state: bool) -> None:
    theirs = nn.LSTM(D, H, proj_size=2, **stack).double()
    ours = made("vanilla", proj_size=2, **stack)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    batch_first = "batch_first" in stack
    x = draw(*((B, T) if batch_first else (T, B)), D).requires_grad_()
    n = stack.get("num_layers", 1) * (2 if stack.get("bidirectional") else 1)
    state = (draw(n, B, 2), draw(n, B, H)) if with_state else None
    got, last = ours(x, state, lengths=lengths)
    given: Any = x if lengths is None else nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first, False)
    expected, theirs_last = theirs(given, state)
    if lengths is not None:
        expected, _ = nn.utils.rnn.pad_packed_sequence(expected, batch_first)
    for a, b in zip((got, *last), (expected, *theirs_last), strict=True):
        torch.testing.assert_close(a, b)
    weighed = torch.linspace(-1, 2, got.numel(), dtype=torch.float64).view_as(got)
    for a, b in zip(*(torch.autograd.grad((y * weighed).sum(), [x, *module.parameters()], retain_graph=True)
                      for y, module in ((got, ours), (expected, theirs))), strict=True):  # fmt: skip
        torch.testing.assert_close(a, b)


def test_torchs_name_and_the_configurations_are_one_option() -> None:
    layer = made("peephole", projection_size=2, bidirectional=True)
    assert layer.proj_size == made("peephole", proj_size=2).proj_size == 2
    assert layer.output_size == 4
    assert made("peephole").proj_size == 0


# Heads.


@pytest.mark.parametrize("cell", ["vanilla", "slstm", "gru", "gru_before", "rnn"])
def test_heads_are_a_block_diagonal_recurrence(cell: str) -> None:
    layer, plain, x = made(cell, heads=3), made(cell), draw(T, B, D)
    blocks = layer.get_parameter("weight_hh_l0").detach().view(len(layer.cell.gates), 3, H // 3, H // 3)
    dense = torch.cat([torch.block_diag(*gate) for gate in blocks])
    plain.load_state_dict(layer.state_dict() | {"weight_hh_l0": dense})
    torch.testing.assert_close(layer(x)[0], plain(x)[0])
    assert layer.gate_parameters()["recurrent"][layer.cell.gates[0]].shape == (H, H // 3)


def test_heads_go_with_gals_dropout() -> None:
    options = {"recurrent_dropout": 0.4, "recurrent_dropout_kind": "gal"}
    layer, plain, x = made("vanilla", heads=3, **options), made("vanilla", **options), draw(T, B, D)
    blocks = layer.get_parameter("weight_hh_l0").detach().view(4, 3, H // 3, H // 3)
    dense = torch.cat([torch.block_diag(*gate) for gate in blocks])
    plain.load_state_dict(layer.state_dict() | {"weight_hh_l0": dense})
    outputs = []
    for module in (layer, plain):
        torch.manual_seed(5)
        outputs.append(module(x)[0])
    torch.testing.assert_close(*outputs)


# What does not go together.


@pytest.mark.parametrize(("options", "message"), [
    ({"cell": "rnn", "cell_clip": 1.0}, "cell_clip: cell 'rnn' has no place"),
    ({"cell": "gru", "zoneout_c": 0.1}, "zoneout_c: cell 'gru' carries h and no c"),
    ({"cell": "slstm", "zoneout_c": 0.1}, "zoneout_c: the scale of cell 'slstm''s c changes"),
    ({"cell": "rnn", "recurrent_dropout": 0.1}, "recurrent_dropout: cell 'rnn' has no place"),
    ({"recurrent_dropout_kind": "moon"}, "recurrent_dropout_kind: input should be 'semeniuta' or 'gal'"),
    ({"projection_size": 6}, "projection_size: 6 must be above 0 and below the 6 hidden units"),
    ({"projection_size": 2, "zoneout_h": 0.1}, "cannot be projected"),
    ({"projection_size": 2, "heads": 2}, "cannot have 2 heads"),
    ({"heads": 4}, "heads: 4 heads do not divide 6 hidden units\n\nhint: take 3 or 6"),
    ({"cell_clip": 0.0}, "cell_clip: input should be greater than 0"),
    ({"zoneout_h": 1.0}, "zoneout_h: input should be less than 1"),
    ({"backend": "torch", "zoneout_h": 0.1}, "torch has no kernel"),
    ({"backend": "torch", "heads": 2}, "torch has no kernel"),
    ({"backend": "torch", "projection_size": 2}, "torch has no kernel"),
    ({"backend": "fused", "layer_norm": True}, "backend 'fused' cannot run"),
])  # fmt: skip
def test_options_that_no_equation_or_back_end_has_together_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        made(**({"cell": "vanilla"} | options))
