"""A module's parameters by depth, from the input to the output: slower rates below, layers that join in one by one.

    lr_g = lr · decay^(G - 1 - g)                     discriminative rates (Howard & Ruder 2018, ULMFiT, section 3.2)
    group g trains in epoch e from 0 on  ⇔  g ≥ G - 1 - ⌊e / epochs⌋      gradual unfreezing (section 3.3)

Groups g = 0 … G - 1 are the parts of `module.network` in their order, an encoder's layers one by one. What trains in an
epoch is a function of the epoch alone, so that a resumed training goes on exactly.
"""

from __future__ import annotations

import re
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from torch import nn

from gatesweep.errors import ConfigError

LAYER = re.compile(r"(?:_l|\blayers?\.)(\d+)")
"""The layer in a parameter's name: `weight_ih_l1`, `layer.3.attention`."""


def depth_groups(module: nn.Module) -> list[list[nn.Parameter]]:
    """Every parameter once, frozen ones too, the lowest group first."""
    found: dict[tuple[str, int], list[nn.Parameter]] = {}
    for name, parameter in module.named_parameters():
        part, _, rest = name.removeprefix("network.").partition(".")
        layer = LAYER.search(rest)
        found.setdefault((part, int(layer[1]) if layer else -1), []).append(parameter)
    return list(found.values())


def with_rates(module: nn.Module, lr: float, decay: float) -> list[dict[str, Any]]:
    """Groups for an optimizer, each with its rate; those without a trainable parameter are left out."""
    groups = depth_groups(module)
    rated = [{"params": [p for p in group if p.requires_grad], "lr": lr * decay ** (len(groups) - 1 - depth)}
             for depth, group in enumerate(groups)]  # fmt: skip
    return [group for group in rated if group["params"]]


class Unfreezing(Callback):
    """Lets only the last group train at first, and every `epochs` epochs one more, downwards."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs
        self._groups: list[list[nn.Parameter]] = []

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Frozen parameters stay so: they are in no group.

        Raises:
            ConfigError: the training is over before the lowest group joins in.
        """
        trainable = [[p for p in group if p.requires_grad] for group in depth_groups(pl_module)]
        self._groups = [group for group in trainable if group]
        last = (len(self._groups) - 1) * self.epochs
        if trainer.max_epochs is not None and 0 <= trainer.max_epochs <= last:
            raise ConfigError(
                f"trainer.unfreeze_epochs: with {len(self._groups)} groups the lowest trains from epoch {last + 1} on, "
                f"and max_epochs is {trainer.max_epochs}",
                hint=f"max_epochs above {last}, or freeze what shall never train",
            )

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        first = len(self._groups) - 1 - trainer.current_epoch // self.epochs
        for depth, group in enumerate(self._groups):
            for parameter in group:
                parameter.requires_grad_(depth >= first)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        for parameter in (p for group in self._groups for p in group):
            parameter.requires_grad_(True)
