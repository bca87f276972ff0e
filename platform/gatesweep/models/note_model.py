"""A model of frames of notes: an encoder of the past, and a head that says which of K notes sound next.

    h_t = encoder(v_1 … v_(t-1))          silence stands before the first frame
    independent      p(v_t | past) = Π_k σ(W h_t + b)_k                          to the power of v_k, and of the rest
    autoregressive   p(v_t | past) = Π_k p(v_k | v_1 … v_(k-1), past)            notes from the lowest up
                     a = relu(A v + B h_t + a_0)      logit = C a + D v + E h_t + b
                     A, C, D masked so that logit k sees v_1 … v_(k-1) alone     (MADE; Germain et al., ICML 2015)

Shape suffixes: B batch, T frames, K notes, O outputs of the encoder, J hidden units of the masked network.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, linear

from gatesweep.models.config import ModelConfig
from gatesweep.models.encoder import Encoded
from gatesweep.models.encoders import build_encoder


class IndependentNotes(nn.Module):
    """Given the past, every note for itself."""

    def __init__(self, input_size: int, notes: int) -> None:
        super().__init__()
        self.output = nn.Linear(input_size, notes)

    def forward(self, h_BTO: Tensor, roll_BTK: Tensor) -> Tensor:
        """Logits [B, T, K] of the notes of `roll_BTK`, which are not looked at."""
        logits_BTK: Tensor = self.output(h_BTO)
        return logits_BTK

    @torch.no_grad()
    def draw(self, h_NO: Tensor, choose: Any) -> Tensor:
        """Notes [N, K], each as `choose` makes of its logits."""
        chosen_NK: Tensor = choose(self.output(h_NO))
        return chosen_NK


class AutoregressiveNotes(nn.Module):
    """Each note given the past and the lower notes of its own frame."""

    order_J: Tensor

    def __init__(self, input_size: int, notes: int, hidden_size: int) -> None:
        super().__init__()
        self.notes = notes
        self.inner, self.output = nn.Linear(notes, hidden_size), nn.Linear(hidden_size, notes)
        self.direct = nn.Linear(notes, notes, bias=False)
        self.to_inner = nn.Linear(input_size, hidden_size, bias=False)
        self.to_output = nn.Linear(input_size, notes, bias=False)
        order_J = torch.arange(hidden_size) * notes // hidden_size  # hidden unit j sees notes 0 … order_j
        order_K = torch.arange(notes)
        self.register_buffer("sees_JK", (order_J[:, None] >= order_K).float(), persistent=False)
        self.register_buffer("seen_KJ", (order_K[:, None] > order_J).float(), persistent=False)
        self.register_buffer("lower_KK", (order_K[:, None] > order_K).float(), persistent=False)

    sees_JK: Tensor
    seen_KJ: Tensor
    lower_KK: Tensor

    def forward(self, h_BTO: Tensor, roll_BTK: Tensor) -> Tensor:
        """Logits [B, T, K]: of each note given the lower ones of its frame in `roll_BTK`."""
        from_past_BTJ, from_past_BTK = self.to_inner(h_BTO), self.to_output(h_BTO)
        return self._logits(from_past_BTJ, from_past_BTK, roll_BTK.to(from_past_BTJ.dtype))

    @torch.no_grad()
    def draw(self, h_NO: Tensor, choose: Any) -> Tensor:
        """Notes [N, K], from the lowest up, each as `choose` makes of its logits given those before."""
        from_past_NJ, from_past_NK = self.to_inner(h_NO), self.to_output(h_NO)
        chosen_NK = torch.zeros_like(from_past_NK)
        for note in range(self.notes):
            chosen_NK[:, note] = choose(self._logits(from_past_NJ, from_past_NK, chosen_NK)[:, note])
        return chosen_NK

    def _logits(self, from_past_BTJ: Tensor, from_past_BTK: Tensor, roll_BTK: Tensor) -> Tensor:
        inner_BTJ = torch.relu(linear(roll_BTK, self.inner.weight * self.sees_JK, self.inner.bias) + from_past_BTJ)
        return (linear(inner_BTJ, self.output.weight * self.seen_KJ, self.output.bias)
                + linear(roll_BTK, self.direct.weight * self.lower_KK) + from_past_BTK)  # fmt: skip


class NoteModel(nn.Module):
    """An encoder of any family that sees the past alone, and its head."""

    def __init__(self, config: ModelConfig, notes: int, *, head: str, head_size: int, embedding_size: int | None,
                 input_dropout: float) -> None:  # fmt: skip
        super().__init__()
        self.notes, self.input_dropout = notes, nn.Dropout(input_dropout)
        self.embedding = nn.Linear(notes, embedding_size) if embedding_size else nn.Identity()
        self.encoder = build_encoder(config, embedding_size or notes, causal=True)
        width = self.encoder.output_size
        self.head: IndependentNotes | AutoregressiveNotes = (
            IndependentNotes(width, notes) if head == "independent" else AutoregressiveNotes(width, notes, head_size)
        )

    @torch.no_grad()
    def start_from(self, p_K: Tensor) -> None:
        """Let an untrained network's notes sound as often as they do in the data: log-odds as the output's bias."""
        self.head.output.bias.copy_(torch.logit(p_K))

    def read(self, given_BTK: Tensor, lengths_B: Tensor | None = None, state: Any = None) -> Encoded:
        """What the encoder makes of frames, each to tell the one after it."""
        return self.encoder(self.embedding(self.input_dropout(given_BTK)), lengths_B, state)  # type: ignore[no-any-return]

    def forward(self, roll_BTK: Tensor, lengths_B: Tensor | None = None) -> Tensor:
        """Logits [B, T, K] of every frame given those before it."""
        given_BTK = torch.cat([torch.zeros_like(roll_BTK[:, :1]), roll_BTK[:, :-1]], dim=1)
        logits_BTK: Tensor = self.head(self.read(given_BTK, lengths_B).outputs_BTO, roll_BTK)
        return logits_BTK


def frame_nll(logits_BTK: Tensor, roll_BTK: Tensor) -> Tensor:
    """-log p of every frame, [B, T], in nats: the sum over its notes."""
    return binary_cross_entropy_with_logits(logits_BTK, roll_BTK, reduction="none").sum(dim=-1)
