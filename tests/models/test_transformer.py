"""The Transformer encoder against torch's own, its attention against sums written out."""

from __future__ import annotations

import cmath
import math

import pytest
import torch
from torch import Tensor, nn

from gatesweep.models.config import ModelConfig
from gatesweep.models.rotary import Turns
from gatesweep.models.self_attention import SelfAttention, causal_sight, seen
from gatesweep.models.transformer import TransformerEncoder

T = 7


def built(**options: object) -> TransformerEncoder:
    torch.manual_seed(0)
    causal = bool(options.pop("causal", False))
    config = ModelConfig(family="transformer", **({"hidden_size": 8, "layers": 2} | options))
    return TransformerEncoder(config, 3, causal=causal).double().eval()


def torchs(ours: TransformerEncoder, inner: int) -> nn.TransformerEncoder:
    """torch.nn.TransformerEncoder with our weights."""
    layer = nn.TransformerEncoderLayer(8, 4, inner, dropout=0.0, activation="gelu", batch_first=True, norm_first=True)
    theirs = nn.TransformerEncoder(layer, len(ours.blocks), nn.LayerNorm(8), enable_nested_tensor=False).double().eval()
    names = {"before_attention": "norm1", "before_map": "norm2", "attention.inputs.": "self_attn.in_proj_",
             "attention.output": "self_attn.out_proj", "map.0": "linear1", "map.3": "linear2", "blocks": "layers"}
    state = {}
    for name, tensor in ours.state_dict().items():
        for old, new in names.items():
            name = name.replace(old, new)
        state[name] = tensor
    theirs.load_state_dict({name: tensor for name, tensor in state.items() if not name.startswith("project")})
    return theirs


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("feedforward", [None, 2.0])
def test_without_positions_it_is_torchs_transformer_encoder(
    causal: bool, feedforward: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Turns, "turn", lambda self, x, first=0: x)
    ours = built(causal=causal, feedforward=feedforward)
    x = torch.randn(3, T, 3, dtype=torch.float64)
    mask = nn.Transformer.generate_square_subsequent_mask(T, dtype=torch.float64) if causal else None
    theirs = torchs(ours, 8 * int(feedforward or 4))(ours.project(x), mask)
    torch.testing.assert_close(ours(x).outputs_BTO, theirs)


def test_without_positions_padding_is_torchs_key_padding_mask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Turns, "turn", lambda self, x, first=0: x)
    ours, x = built(), torch.randn(2, T, 3, dtype=torch.float64)
    hidden = torch.tensor([[False] * T, [False] * 3 + [True] * 4])
    theirs = torchs(ours, 32)(ours.project(x), src_key_padding_mask=hidden)
    encoded = ours(x, lengths=[T, 3])
    torch.testing.assert_close(encoded.outputs_BTO[1, :3], theirs[1, :3])
    torch.testing.assert_close(encoded.summary_BO, torch.stack([theirs[0, -1], theirs[1, 2]]))


def complex_turned(x: Tensor, t: int) -> list[complex]:
    """Pairs (x_j, x_(j + E/2)) as complex numbers, times e^(i t θ_j)."""
    half = len(x) // 2
    return [complex(x[j], x[j + half]) * cmath.exp(1j * t * 10000 ** (-2 * j / len(x))) for j in range(half)]


@pytest.mark.parametrize("context", [3, 100])
def test_attention_is_its_equation_written_out_with_positions_as_complex_numbers(context: int) -> None:
    torch.manual_seed(0)
    attention, x = SelfAttention(8, 2).double(), torch.randn(1, T, 8, dtype=torch.float64)
    ours, _ = attention(x, causal_sight(T, 0, context, None, x.device), turns=Turns(T, 4, x))
    q, k, v = attention.inputs(x)[0].detach().split(8, -1)
    rows = []
    for t in range(T):
        found = []
        for head in (slice(0, 4), slice(4, 8)):
            steps = range(max(0, t - context + 1), t + 1)
            scores = [
                sum((a * b.conjugate()).real
                    for a, b in zip(complex_turned(q[t, head], t), complex_turned(k[s, head], s), strict=True)) / 2.0
                for s in steps
            ]  # fmt: skip
            total = sum(math.exp(score) for score in scores)
            found.append(sum(math.exp(score) / total * v[s, head] for score, s in zip(scores, steps, strict=True)))
        rows.append(torch.cat(found))
    torch.testing.assert_close(ours[0], attention.output(torch.stack(rows)))


def test_only_the_distance_of_two_steps_counts() -> None:
    turns = Turns(1000, 8, torch.zeros(1, dtype=torch.float64))
    q, k = torch.randn(1, 8, dtype=torch.float64), torch.randn(1, 8, dtype=torch.float64)
    near = (turns.turn(q, 7) * turns.turn(k, 2)).sum()
    far = (turns.turn(q, 995) * turns.turn(k, 990)).sum()
    other = (turns.turn(q, 8) * turns.turn(k, 2)).sum()
    torch.testing.assert_close(near, far)
    assert (near - other).abs() > 1e-3


def test_order_matters_where_nothing_is_hidden() -> None:
    model, x = built(), torch.randn(1, T, 3, dtype=torch.float64)
    assert (model(x).outputs_BTO - model(x.flip(1)).outputs_BTO.flip(1)).abs().max() > 1e-3


@pytest.mark.parametrize("context", [1, 3, 7, 50])
def test_how_many_steps_a_step_sees_is_counted_as_the_mask_has_it(context: int) -> None:
    sight = causal_sight(T, 0, context, None, torch.device("cpu"))
    mask = torch.ones(T, T).tril() if sight.mask_B1TS is None else sight.mask_B1TS[0, 0].double()
    assert seen(T, True, context) == pytest.approx(float(mask.sum(1).mean()))


def test_the_past_that_is_carried_is_bounded() -> None:
    model, state = built(causal=True, context=5), None
    for _ in range(4):
        state = model(torch.randn(2, 3, 3, dtype=torch.float64), state=state).state
    assert state[1][0][0].shape == (2, 4, 4, 2)
