"""What every family promises: causality, padding, parts of a sequence, gradients, dropout, one seed one network."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor

from gatesweep.cells.names import MATRIX_CELLS, NAMES
from gatesweep.errors import ConfigError, ShapeError
from gatesweep.models.config import ModelConfig
from gatesweep.models.encoder import Encoder, detached
from gatesweep.models.encoders import build_encoder
from gatesweep.models.families import FAMILIES
from gatesweep.models.forecaster import Forecaster

VARIANTS: dict[str, dict[str, Any]] = {
    "recurrent": {"family": "recurrent", "layers": 2},
    "attention": {"family": "attention", "layers": 2},
    "attention, short context": {"family": "attention", "context": 3, "cell": "gru"},
    "transformer": {"family": "transformer", "layers": 2},
    "transformer, short context": {"family": "transformer", "layers": 2, "context": 4},
    "transformer, context of one": {"family": "transformer", "context": 1},
    "tcn": {"family": "tcn", "layers": 3},
    "tcn, even kernel": {"family": "tcn", "layers": 2, "kernel_size": 4},
    "tcn, one tap": {"family": "tcn", "layers": 2, "kernel_size": 1},
    "xlstm": {"family": "xlstm", "layers": 3, "heads": 2},
    "xlstm by its definition": {"family": "xlstm", "layers": 2, "xlstm_blocks": "sm", "backend": "reference"},
    "memory": {"family": "memory", "layers": 2, "memory_slots": 5, "memory_width": 3, "memory_heads": 2},
    "memory, gru": {"family": "memory", "cell": "gru", "memory_slots": 4, "memory_width": 3},
}
ONE_WAY = ("recurrent", "xlstm", "memory")
each = pytest.mark.parametrize("variant", VARIANTS)
LENGTHS = [9, 2, 5]


def encoder(variant: str, *, causal: bool, **changed: Any) -> Encoder:
    torch.manual_seed(0)
    config = ModelConfig(**({"hidden_size": 8} | VARIANTS[variant] | changed))
    return build_encoder(config, 3, causal=causal).double().eval()


def batch(B: int = 3, T: int = 9) -> Tensor:
    return torch.randn(B, T, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def tensors(state: Any) -> list[Tensor]:
    if isinstance(state, Tensor):
        return [state]
    return [] if state is None else [tensor for part in state for tensor in tensors(part)]


@each
def test_causal_no_output_changes_when_a_later_input_does(variant: str) -> None:
    model, x = encoder(variant, causal=True), batch()
    for t in range(1, 9):
        changed = x.clone()
        changed[:, t:] += 1.0
        before, after = model(x).outputs_BTO, model(changed).outputs_BTO
        assert torch.equal(before[:, :t], after[:, :t]) or (before[:, :t] - after[:, :t]).abs().max() < 1e-14
        assert ((before[:, t] - after[:, t]).abs().amax(1) > 1e-9).all()


@pytest.mark.parametrize("family", [f for f in FAMILIES if f not in ONE_WAY])
def test_not_causal_the_first_output_sees_later_inputs(family: str) -> None:
    model, x = encoder(family, causal=False), batch()
    changed = x.clone()
    changed[:, 3] += 1.0
    assert (model(x).outputs_BTO[:, 0] != model(changed).outputs_BTO[:, 0]).any(1).all()


@each
@pytest.mark.parametrize("causal", [True, False])
def test_a_padded_batch_is_each_of_its_sequences_alone(variant: str, causal: bool) -> None:
    model, x = encoder(variant, causal=causal), batch()
    for b, length in enumerate(LENGTHS):
        x[b, length:] = float("nan")
    padded = model(x, lengths=LENGTHS)
    for b, length in enumerate(LENGTHS):
        alone = model(x[b : b + 1, :length])
        torch.testing.assert_close(padded.outputs_BTO[b, :length], alone.outputs_BTO[0])
        torch.testing.assert_close(padded.summary_BO[b], alone.summary_BO[0])
    assert not any(padded.outputs_BTO[b, length:].any() for b, length in enumerate(LENGTHS))


@each
@pytest.mark.parametrize("parts", [[4, 5], [1, 1, 7], [1] * 9])
def test_a_sequence_in_parts_is_the_whole_sequence(variant: str, parts: list[int]) -> None:
    model, x = encoder(variant, causal=True), batch()
    whole, outputs, state = model(x), [], None
    for part in x.split(parts, 1):
        encoded = model(part, state=state)
        outputs.append(encoded.outputs_BTO)
        state = detached(encoded.state)
    torch.testing.assert_close(torch.cat(outputs, 1), whole.outputs_BTO)
    torch.testing.assert_close(encoded.summary_BO, whole.summary_BO)
    assert len(tensors(state)) == len(tensors(whole.state)) > 0
    for a, b in zip(tensors(state), tensors(whole.state), strict=True):
        torch.testing.assert_close(a, b)


@each
def test_parts_with_padding_between_them_are_each_whole_sequence(variant: str) -> None:
    """Sequences of 11, 4 and 7 steps, whose first part has 9, 2 and 5 of them."""
    model, x, rest = encoder(variant, causal=True), batch(), batch(T=2) - 1
    first = model(x, lengths=LENGTHS)
    second = model(rest, state=first.state)
    for b, length in enumerate(LENGTHS):
        whole = model(torch.cat([x[b : b + 1, :length], rest[b : b + 1]], 1))
        torch.testing.assert_close(second.outputs_BTO[b], whole.outputs_BTO[0, length:])
        torch.testing.assert_close(second.summary_BO[b], whole.summary_BO[0])


@pytest.mark.parametrize("family", ["recurrent", "attention", "xlstm", "memory"])
def test_bidirectional_the_last_output_sees_the_first_input_and_the_first_the_last(family: str) -> None:
    model, x = encoder(family, causal=False, bidirectional=True), batch()
    assert model.output_size == model(x).outputs_BTO.shape[2] == model(x).summary_BO.shape[1] == 16
    for changed_t, t in ((0, -1), (-1, 0)):
        changed = x.clone()
        changed[:, changed_t] += 1.0
        assert (model(x).outputs_BTO[:, t] != model(changed).outputs_BTO[:, t]).any(1).all()


@pytest.mark.parametrize("family", ["xlstm", "memory"])
def test_bidirectional_a_padded_batch_is_each_of_its_sequences_alone(family: str) -> None:
    model, x = encoder(family, causal=False, bidirectional=True), batch()
    padded = model(x, lengths=LENGTHS)
    for b, length in enumerate(LENGTHS):
        alone = model(x[b : b + 1, :length])
        torch.testing.assert_close(padded.outputs_BTO[b, :length], alone.outputs_BTO[0])
        torch.testing.assert_close(padded.summary_BO[b], alone.summary_BO[0])


@pytest.mark.parametrize("family", ["attention", "xlstm", "memory", "recurrent"])
def test_bidirectional_where_nothing_later_may_be_seen_is_refused(family: str) -> None:
    with pytest.raises(ConfigError, match="bidirectional: this model must not see what comes later"):
        encoder(family, causal=True, bidirectional=True)


@each
@pytest.mark.parametrize("causal", [True, False])
def test_every_weight_learns_and_every_gradient_is_a_number(variant: str, causal: bool) -> None:
    model = encoder(variant, causal=causal).train()
    first = model(batch(), lengths=LENGTHS)
    second = model(batch(), state=first.state) if first.state is not None else first
    summed = sum(y.square().sum() for part in (first, second) for y in part[:2])
    summed.backward()  # type: ignore[union-attr]
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all()] == []
    assert [name for name, p in model.named_parameters() if not p.grad.any()] == []  # type: ignore[union-attr]


@each
def test_gradients_are_those_of_differences(variant: str) -> None:
    model, x = encoder(variant, causal=True), batch(2, 4).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: model(x).outputs_BTO, (x,))


@each
def test_one_seed_is_one_network_and_one_output(variant: str) -> None:
    a, b = encoder(variant, causal=False), encoder(variant, causal=False)
    assert all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))
    assert torch.equal(a(batch()).outputs_BTO, b(batch()).outputs_BTO)


@each
def test_an_encoder_is_copied_pickled_and_loaded_with_its_numbers(variant: str) -> None:
    model, x = encoder(variant, causal=True), batch()
    loaded = encoder(variant, causal=True)
    for p in loaded.parameters():
        p.data.zero_()
    loaded.load_state_dict(model.state_dict())
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), loaded):
        assert torch.equal(other(x).outputs_BTO, model(x).outputs_BTO)


@each
def test_dropout_acts_in_training_and_not_in_evaluation(variant: str) -> None:
    model = encoder(variant, causal=True, dropout=0.5)
    assert torch.equal(model(batch()).outputs_BTO, model(batch()).outputs_BTO)
    model.train()
    encoded = model(batch())
    assert not torch.equal(encoded.outputs_BTO, model(batch()).outputs_BTO)
    assert 0.25 < (encoded.outputs_BTO == 0).double().mean() < 0.9


@each
def test_half_precision_under_autocast_stays_near_and_finite(variant: str) -> None:
    model, x = encoder(variant, causal=True).float(), batch().float()
    exact = model(x).outputs_BTO
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = model(x, lengths=[9, 9, 9]).outputs_BTO
    assert (half.float() - exact).abs().max() < 0.1


@pytest.mark.parametrize("cell", [*NAMES, *MATRIX_CELLS])
@pytest.mark.parametrize("family", ["attention", "memory"])
def test_a_controller_may_be_of_any_cell(family: str, cell: str) -> None:
    model, x = encoder(family, causal=True, cell=cell), batch()
    first = model(x[:, :4], lengths=[4, 1, 2])
    whole = model(torch.cat([x[2:, :2], x[2:, 4:]], 1))
    torch.testing.assert_close(model(x[:, 4:], state=first.state).outputs_BTO[2], whole.outputs_BTO[0, 2:])


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_serves_the_forecaster(family: str) -> None:
    torch.manual_seed(0)
    model = Forecaster(ModelConfig(family=family, hidden_size=8), past_size=3, future_size=2, horizon=5)
    forecast = model(torch.randn(2, 7, 3), torch.randn(2, 5, 2))
    assert forecast.shape == (2, 5)
    assert forecast.isfinite().all()


@each
@pytest.mark.parametrize(("shape", "message"), [
    ((3, 9, 4), "made for 3 inputs a step, this has 4"), ((3, 0, 3), "an empty sequence"),
    ((9, 3), "three dimensions"),
])  # fmt: skip
def test_an_input_that_does_not_fit_is_refused(variant: str, shape: tuple[int, ...], message: str) -> None:
    if "recurrent" in variant and len(shape) == 2:
        shape, message = (3, 1, 2), "made for 3 inputs"
    with pytest.raises(ShapeError, match=message):
        encoder(variant, causal=False)(torch.zeros(shape, dtype=torch.float64))


@each
def test_a_state_of_another_batch_is_refused(variant: str) -> None:
    model = encoder(variant, causal=True)
    state = model(batch(2)).state
    with pytest.raises(ShapeError):
        model(batch(3), state=state)
    with pytest.raises(ShapeError):
        model(batch(3), state=(torch.zeros(3),))


@pytest.mark.parametrize("family", ["attention", "transformer", "tcn"])
def test_what_looks_both_ways_has_no_state(family: str) -> None:
    model = encoder(family, causal=False)
    assert model(batch()).state is None
    with pytest.raises(ShapeError, match="looks both ways"):
        model(batch(), state=encoder(family, causal=True)(batch()).state)
