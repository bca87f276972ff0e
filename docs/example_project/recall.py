"""Delayed recall out of plain functions: which of K signs came first? `task: recall`.

A sequence is a sign, then T - 1 distracting ones; the model has to say the first.
Shape suffixes: N sequences, B batch, T steps, K signs.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset, TensorDataset

from gatesweep.config.section import Section
from gatesweep.models.encoders import build_encoder

SIZES = {"train": 2000, "val": 500, "test": 500}
metrics = ("loss", "accuracy")


class RecallData(Section):
    """The keys of `data:`; every one can be a search dimension."""

    length: int = 20
    """Steps to remember over, T."""

    signs: int = 4
    """How many signs there are, K."""


data_section = RecallData


def build_data(config: Any) -> dict[str, Dataset[Any]]:
    """Three splits, drawn apart from each other; the same whatever the training's seed is."""
    return {split: _drawn(config.data, number, size) for number, (split, size) in enumerate(SIZES.items())}


def _drawn(data: RecallData, number: int, size: int) -> TensorDataset:
    signs_NT = torch.randint(data.signs, (size, data.length), generator=torch.Generator().manual_seed(number))
    return TensorDataset(nn.functional.one_hot(signs_NT, data.signs).float(), signs_NT[:, 0])


class Recall(nn.Module):
    """Any cell or family of the configuration reads the sequence, one linear layer answers."""

    def __init__(self, model: Any, signs: int) -> None:
        super().__init__()
        self.encoder = build_encoder(model, signs)
        self.head = nn.Linear(self.encoder.output_size, signs)

    def forward(self, x_BTK: Tensor) -> Tensor:
        logits_BK: Tensor = self.head(self.encoder(x_BTK).summary_BO)
        return logits_BK


def build_model(config: Any) -> nn.Module:
    """The network, its weights drawn from the seed that is set already."""
    return Recall(config.model, config.data.signs)


def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
    """What to minimise, and what else to report: means over the batch."""
    x_BTK, first_B = batch
    logits_BK = model(x_BTK)
    hits_B = logits_BK.argmax(1) == first_B
    return {"loss": nn.functional.cross_entropy(logits_BK, first_B), "accuracy": hits_B.float().mean()}


def baseline(config: Any, split: str) -> tuple[str, dict[str, float]]:
    """What to beat: always saying the sign that came first most often in training."""
    first = {name: build_data(config)[name].tensors[1] for name in ("train", split)}
    usual = first["train"].mode().values
    return "most frequent sign", {"accuracy": float((first[split] == usual).float().mean())}
