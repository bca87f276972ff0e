"""Networks that listen: frames of features in; one answer, an answer of every step, or symbols one by one, out.

    step_s = [x_(ns), …, x_(ns + n - 1)]        n frames are read as one step
    h      = encoder(step)
    label      logits = W pooling(h) + b        frames, ctc      logits_s = W h_s + b

`attention` is `EncoderDecoder` with such steps in the place of a source's embeddings.

Shape suffixes: B batch, T frames, S steps, D features, K answers, O outputs.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from gatesweep.models.config import ModelConfig
from gatesweep.models.encoders import build_encoder
from gatesweep.models.pooling import Kind, Pooling


class LabelNetwork(nn.Module):
    """One answer out of all frames."""

    def __init__(self, config: ModelConfig, *, features: int, labels: int, stack: int, pooling: Kind,
                 input_dropout: float) -> None:
        super().__init__()
        self.stack, self.input_dropout = stack, nn.Dropout(input_dropout)
        self.encoder = build_encoder(config, features * stack)
        self.pooling = Pooling(pooling, self.encoder.output_size)
        self.head = nn.Linear(self.pooling.output_size, labels)

    def forward(self, x_BTD: Tensor, lengths_B: Tensor) -> Tensor:
        """`logits_BK`."""
        x_BSE, steps_B = stacked(self.input_dropout(x_BTD), lengths_B, self.stack)
        outputs_BSO, summary_BO, _ = self.encoder(x_BSE, steps_B)
        logits_BK: Tensor = self.head(self.pooling(outputs_BSO, summary_BO, steps_B))
        return logits_BK


class StepNetwork(nn.Module):
    """An answer of every step.

    Args:
        causal: no step may see a later one.
    """

    def __init__(self, config: ModelConfig, *, features: int, labels: int, stack: int, input_dropout: float,
                 causal: bool = False) -> None:
        super().__init__()
        self.stack, self.input_dropout = stack, nn.Dropout(input_dropout)
        self.encoder = build_encoder(config, features * stack, causal=causal)
        self.head = nn.Linear(self.encoder.output_size, labels)

    def forward(self, x_BTD: Tensor, lengths_B: Tensor, state: Any = None) -> tuple[Tensor, Tensor, Any]:
        """`log_probs_BSK`, `steps_B`, and the encoder's state to go on with."""
        x_BSE, steps_B = stacked(self.input_dropout(x_BTD), lengths_B, self.stack)
        outputs_BSO, _, state = self.encoder(x_BSE, steps_B, state)
        return self.head(outputs_BSO).float().log_softmax(2), steps_B, state


def stacked(x_BTD: Tensor, lengths_B: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """`count` frames after one another as one step [B, S, count D], S = ceil(T / count), zeros after the end; and S of
    each sequence."""
    if count == 1:
        return x_BTD, lengths_B
    x_BTD = functional.pad(x_BTD, (0, 0, 0, -x_BTD.shape[1] % count))
    steps_B = torch.div(lengths_B + count - 1, count, rounding_mode="floor")
    return x_BTD.unflatten(1, (-1, count)).flatten(2), steps_B


class Frames(nn.Module):
    """The source of an encoder-decoder: frames in the place of symbols' embeddings."""

    def __init__(self, features: int, stack: int, dropout: float) -> None:
        super().__init__()
        self.size, self.stack, self.dropout = features * stack, stack, nn.Dropout(dropout)

    def forward(self, x_BTD: Tensor) -> Tensor:
        """`x_BSE`; how many steps each sequence has is the caller's to know."""
        whole_B = torch.full((len(x_BTD),), x_BTD.shape[1])
        return stacked(self.dropout(x_BTD), whole_B, self.stack)[0]
