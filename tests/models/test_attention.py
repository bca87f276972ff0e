"""Attention against its equations written out, one question and one step at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from gatesweep.errors import ShapeError
from gatesweep.models.attention import KINDS, Attention, build_attention

ASKING = ("bahdanau", "luong_general", "luong_dot")
LENGTHS = torch.tensor([5, 2, 4])


def made(name: str, *, question: int = 6, value: int = 6) -> tuple[Attention, Tensor, Tensor]:
    """An attention, questions [3, 4, Q] and outputs [3, 5, O]."""
    torch.manual_seed(3)
    attention = build_attention(name, question, value).double()  # type: ignore[arg-type]
    return attention, torch.randn(3, 4, question).double(), torch.randn(3, 5, value).double()


def score(name: str, parameters: dict[str, np.ndarray], q: np.ndarray, v: np.ndarray) -> float:
    """Of one question and one value, as the papers have it."""
    if name == "bahdanau":
        inner = parameters["of_question.weight"] @ q + parameters["of_value.weight"] @ v + parameters["of_value.bias"]
        return float((parameters["weight.weight"][0] * np.tanh(inner)).sum())
    return float(q @ (parameters["of_value.weight"] @ v if name == "luong_general" else v))


@pytest.mark.parametrize("name", ASKING)
def test_weights_and_context_are_those_of_the_written_out_equations(name: str) -> None:
    attention, question_BUQ, outputs_BTO = made(name)
    context_BUO, a_BUT = attention(question_BUQ, attention.remember(outputs_BTO, outputs_BTO[:, 0], LENGTHS))
    parameters = {key: value.detach().numpy() for key, value in attention.named_parameters()}
    for b, length in enumerate(LENGTHS.tolist()):
        for u in range(question_BUQ.shape[1]):
            values = outputs_BTO[b].numpy()
            raised = [math.exp(score(name, parameters, question_BUQ[b, u].numpy(), values[t])) for t in range(length)]
            a = np.array([each / sum(raised) for each in raised] + [0.0] * (5 - length))
            np.testing.assert_allclose(a_BUT[b, u].detach().numpy(), a, atol=1e-12)
            np.testing.assert_allclose(context_BUO[b, u].detach().numpy(), a @ values, atol=1e-12)


@pytest.mark.parametrize("name", KINDS)
def test_what_padding_holds_changes_nothing_not_even_a_nan(name: str) -> None:
    attention, question_BUQ, outputs_BTO = made(name)
    real_BT = torch.arange(5) < LENGTHS.unsqueeze(1)
    spoilt_BTO = torch.where(real_BT.unsqueeze(2), outputs_BTO, torch.nan)
    summary_BO = outputs_BTO[:, 0]
    usual, spoilt = (attention(question_BUQ, attention.remember(x, summary_BO, LENGTHS))
                     for x in (outputs_BTO, spoilt_BTO))  # fmt: skip
    assert torch.equal(usual[0], spoilt[0])
    assert torch.equal(usual[1], spoilt[1])
    assert (usual[1].masked_select(~real_BT.unsqueeze(1)) == 0).all()
    torch.testing.assert_close(usual[1].sum(2), torch.ones(3, 4).double())


def test_without_attention_every_step_has_the_summary() -> None:
    attention, question_BUQ, outputs_BTO = made("none")
    context_BUO, _ = attention(question_BUQ, attention.remember(outputs_BTO, outputs_BTO[:, 1], LENGTHS))
    assert torch.equal(context_BUO, outputs_BTO[:, 1:2].expand(-1, 4, -1))


@pytest.mark.parametrize("name", KINDS)
def test_chosen_rows_of_a_memory_answer_as_they_did(name: str) -> None:
    attention, question_BUQ, outputs_BTO = made(name)
    memory, index_M = attention.remember(outputs_BTO, outputs_BTO[:, 0], LENGTHS), torch.tensor([2, 0, 2])
    whole, some = attention(question_BUQ, memory)[0], attention(question_BUQ[index_M], memory.rows(index_M))[0]
    torch.testing.assert_close(some, whole[index_M])


def test_a_dot_product_of_two_widths_is_refused() -> None:
    with pytest.raises(ShapeError, match="4 units with the encoder's 6"):
        build_attention("luong_dot", 4, 6)
