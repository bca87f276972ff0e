"""Attention over a recurrent network's states against torch's own attention, its pooling against sums written out."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gatesweep.models.attention_encoder import AttentionEncoder
from gatesweep.models.attention_pooling import AttentionPooling
from gatesweep.models.config import ModelConfig


@pytest.mark.parametrize("causal", [True, False])
def test_it_is_torchs_lstm_and_torchs_multi_head_attention_and_a_residual(causal: bool) -> None:
    torch.manual_seed(0)
    ours = AttentionEncoder(ModelConfig(family="attention", hidden_size=8), 3, causal=causal).double().eval()
    lstm, attention = nn.LSTM(3, 8, batch_first=True).double(), nn.MultiheadAttention(8, 4, batch_first=True).double()
    lstm.load_state_dict(ours.recurrent.state_dict())
    names = {"inputs.": "in_proj_", "output.": "out_proj."}
    attention.load_state_dict({
        names[name.split(".")[0] + "."] + name.split(".")[1]: p for name, p in ours.attention.state_dict().items()
    })
    x = torch.randn(2, 6, 3, dtype=torch.float64)
    h, _ = lstm(x)
    later = torch.ones(6, 6, dtype=torch.bool).triu(1) if causal else None
    torch.testing.assert_close(ours(x).outputs_BTO, h + attention(h, h, h, attn_mask=later)[0])


def test_the_summary_is_a_mean_of_the_outputs_weighted_by_their_scores() -> None:
    torch.manual_seed(0)
    model = AttentionEncoder(ModelConfig(family="attention", hidden_size=8), 3).double().eval()
    encoded = model(torch.randn(2, 6, 3, dtype=torch.float64), lengths=[6, 4])
    first, second = model.pooling.score[0], model.pooling.score[2]
    for b, length in enumerate((6, 4)):
        y = encoded.outputs_BTO[b, :length]
        scores = [(second.weight @ torch.tanh(first.weight @ step + first.bias)).exp() for step in y]
        expected = sum(score * step for score, step in zip(scores, y, strict=True)) / sum(scores)
        torch.testing.assert_close(encoded.summary_BO[b], expected)


def test_parts_pooled_one_after_the_other_are_pooled_as_one_even_at_large_scores() -> None:
    torch.manual_seed(0)
    pooling, y = AttentionPooling(4).double(), torch.randn(2, 9, 4, dtype=torch.float64)
    with torch.no_grad():
        pooling.score[2].weight.mul_(2000)
    whole, log_sum = pooling(y)
    state = None
    for part in y.split([2, 6, 1], 1):
        state = pooling(part, before=state)
    assert state is not None
    torch.testing.assert_close(state[0], whole)
    torch.testing.assert_close(state[1], log_sum)
