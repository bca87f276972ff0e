"""Attention: a decoder asks, the encoder's outputs answer, padding does not.

    a = softmax_t score(q, k_t) over the steps of the source           context = Σ_t a_t v_t

    bahdanau        vᵀ tanh(W_q q + k_t),  k_t = W_k v_t + b           Bahdanau, Cho & Bengio 2015, appendix A.1.2
    luong_general   qᵀ k_t,                k_t = W_k v_t               Luong, Pham & Manning 2015, eq. 8
    luong_dot       qᵀ v_t
    none            no question is asked: the context is the summary   Cho et al. 2014, section 2.2

All questions of a target that is known (training) are answered at once, or one at a time (decoding): the same numbers.

Shape suffixes: B batch, U steps of the target, T steps of the source, Q question, O value, A features compared.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from gatesweep.errors import ShapeError

AttentionName = Literal["bahdanau", "luong_general", "luong_dot", "none"]


class Memory(NamedTuple):
    """What can be asked, made once for a source: every tensor has the batch first."""

    keys_BTA: Tensor
    values_BTO: Tensor
    real_BT: Tensor
    """False at padded steps."""

    summary_BO: Tensor

    def rows(self, index_M: Tensor) -> Memory:
        """These sources, in this order; one may come several times."""
        return Memory(*(tensor.index_select(0, index_M) for tensor in self))


class Attention(nn.Module, ABC):
    """One way to compare a question with every step of the source."""

    def remember(self, outputs_BTO: Tensor, summary_BO: Tensor, lengths_B: Tensor) -> Memory:
        """What of the source every question shares. Values of padded steps are set to 0."""
        steps_T = torch.arange(outputs_BTO.shape[1], device=outputs_BTO.device)
        real_BT = steps_T < lengths_B.to(outputs_BTO.device).unsqueeze(1)
        values_BTO = torch.where(real_BT.unsqueeze(2), outputs_BTO, 0.0)
        return Memory(self.keys(values_BTO), values_BTO, real_BT, summary_BO)

    def forward(self, question_BUQ: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """`context_BUO` and the weights `a_BUT`, which are 0 at padding and add up to 1."""
        scores_BUT = self.scores(question_BUQ, memory.keys_BTA).masked_fill(~memory.real_BT.unsqueeze(1), -torch.inf)
        a_BUT = scores_BUT.softmax(2)
        return a_BUT @ memory.values_BTO, a_BUT

    @abstractmethod
    def keys(self, values_BTO: Tensor) -> Tensor:
        """`keys_BTA`: the half of the comparison that is the source's."""

    @abstractmethod
    def scores(self, question_BUQ: Tensor, keys_BTA: Tensor) -> Tensor:
        """`scores_BUT` of every question with every key."""


class Bahdanau(Attention):
    """A layer of tanh between question and answer ("additive", "concat")."""

    def __init__(self, question_size: int, value_size: int) -> None:
        super().__init__()
        self.of_question = nn.Linear(question_size, question_size, bias=False)
        self.of_value = nn.Linear(value_size, question_size)
        self.weight = nn.Linear(question_size, 1, bias=False)

    def keys(self, values_BTO: Tensor) -> Tensor:
        keys_BTA: Tensor = self.of_value(values_BTO)
        return keys_BTA

    def scores(self, question_BUQ: Tensor, keys_BTA: Tensor) -> Tensor:
        mixed_BUTA = torch.tanh(self.of_question(question_BUQ).unsqueeze(2) + keys_BTA.unsqueeze(1))
        scores_BUT: Tensor = self.weight(mixed_BUTA).squeeze(3)
        return scores_BUT


class LuongGeneral(Attention):
    """A bilinear form."""

    def __init__(self, question_size: int, value_size: int) -> None:
        super().__init__()
        self.of_value = nn.Linear(value_size, question_size, bias=False)

    def keys(self, values_BTO: Tensor) -> Tensor:
        keys_BTA: Tensor = self.of_value(values_BTO)
        return keys_BTA

    def scores(self, question_BUQ: Tensor, keys_BTA: Tensor) -> Tensor:
        return question_BUQ @ keys_BTA.transpose(1, 2)


class LuongDot(Attention):
    """Question and value are compared as they are.

    Raises:
        ShapeError: they are not of one width.
    """

    def __init__(self, question_size: int, value_size: int) -> None:
        super().__init__()
        if question_size != value_size:
            raise ShapeError(f"attention 'luong_dot' compares the decoder's {question_size} units with the encoder's"
                             f" {value_size} outputs", hint=f"decoder_size: {value_size}, or luong_general")

    def keys(self, values_BTO: Tensor) -> Tensor:
        return values_BTO

    def scores(self, question_BUQ: Tensor, keys_BTA: Tensor) -> Tensor:
        return question_BUQ @ keys_BTA.transpose(1, 2)


class NoAttention(Attention):
    """The same summary at every step; its weights are even, and mean nothing."""

    def __init__(self, question_size: int, value_size: int) -> None:
        super().__init__()

    def keys(self, values_BTO: Tensor) -> Tensor:
        return values_BTO[:, :, :0]

    def scores(self, question_BUQ: Tensor, keys_BTA: Tensor) -> Tensor:
        return question_BUQ.new_zeros(*question_BUQ.shape[:2], keys_BTA.shape[1])

    def forward(self, question_BUQ: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """The summary as context of every step."""
        real_BT = memory.real_BT.to(question_BUQ.dtype)
        a_BT = real_BT / real_BT.sum(1, keepdim=True)
        steps = question_BUQ.shape[1]
        return memory.summary_BO.unsqueeze(1).expand(-1, steps, -1), a_BT.unsqueeze(1).expand(-1, steps, -1)


KINDS: dict[str, type[Attention]] = {
    "bahdanau": Bahdanau, "luong_general": LuongGeneral, "luong_dot": LuongDot, "none": NoAttention,
}


def build_attention(name: AttentionName, question_size: int, value_size: int) -> Attention:
    """The attention of that name."""
    return KINDS[name](question_size, value_size)
