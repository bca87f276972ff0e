"""A task of plain functions, for tests: y = 2 x."""

from typing import Any

import torch
from torch.utils.data import TensorDataset


def build_data(config: Any) -> dict[str, TensorDataset]:
    x = torch.linspace(-1, 1, config.data.rows, dtype=torch.float64).unsqueeze(1)
    return {split: TensorDataset(x, 2 * x) for split in ("train", "val", "test")}


def build_model(config: Any) -> torch.nn.Module:
    return torch.nn.Linear(1, 1)


def loss(model: torch.nn.Module, batch: Any) -> torch.Tensor:
    return ((model(batch[0]) - batch[1]) ** 2).mean()
