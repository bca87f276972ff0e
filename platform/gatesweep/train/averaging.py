"""Averaged weights: what is validated and kept is the mean of the weights over optimizer steps; training goes on raw.

    w̄_k = w̄_(k-1) + (w_k - w̄_(k-1)) / (k - T + 1),    w̄_T = w_T

always: T = 0, the mean of all steps (Polyak & Juditsky 1992). triggered: T is the last step of the first epoch t > n
whose value v_t is worse than the best of v_1 … v_(t-n-1), n = `average_patience` (Merity, Keskar & Socher 2017,
"Regularizing and optimizing LSTM language models", algorithm 1, validating once an epoch).

The checkpoint's weights are the averaged ones; the raw ones, the count and the values lie beside them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor

from gatesweep.train.config import OptimizerConfig

KEY = "averaging"


def triggered(values: Sequence[float], patience: int, mode: str) -> bool:
    """Whether the last of these epochs' values is worse than the best of all but the `patience` before it."""
    *earlier, last = values
    compared = earlier[: len(earlier) - patience] if len(earlier) > patience else []
    if not compared:
        return False
    return last > min(compared) if mode == "min" else last < max(compared)


class Averaging(Callback):
    """Keeps the mean, and puts it in the model's place for every validation during training."""

    def __init__(self, config: OptimizerConfig, monitor: str, mode: str) -> None:
        self.always, self.patience = config.average == "always", config.average_patience
        self.monitor, self.mode = monitor, mode
        self.count = 0
        """Steps in the mean; 0 before it begins."""
        self.values: list[float] = []
        self.mean: dict[str, Tensor] = {}
        self._raw: dict[str, Tensor] = {}
        self._step = 0

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._step = trainer.global_step
        if self.always and not self.count:
            self._begin(pl_module)
        self.mean = {name: value.to(pl_module.device) for name, value in self.mean.items()}

    @torch.no_grad()
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if not self.count or trainer.global_step == self._step:  # no step where gradients were only added up
            return
        self._step = trainer.global_step
        self.count += 1
        weights = _weights(pl_module)
        torch._foreach_lerp_([self.mean[name] for name in weights], list(weights.values()), 1 / self.count)

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.count and trainer.state.fn == "fit":
            self._raw = {name: value.clone() for name, value in _weights(pl_module).items()}
            _put(pl_module, self.mean)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._raw:
            _put(pl_module, self._raw)
            self._raw = {}
        if trainer.state.fn != "fit" or self.monitor not in trainer.callback_metrics:
            return
        self.values.append(float(trainer.callback_metrics[self.monitor]))
        if not self.count and triggered(self.values, self.patience, self.mode):
            self._begin(pl_module)
            self._step = trainer.global_step

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        checkpoint[KEY] = {"count": self.count, "values": self.values, "raw": {}}
        if self.count:
            state = checkpoint["state_dict"]
            checkpoint[KEY]["raw"] = {name: state[name] for name in self.mean}
            checkpoint["state_dict"] = state | self.mean

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        saved = checkpoint[KEY]
        self.count, self.values = saved["count"], list(saved["values"])
        if self.count:
            self.mean = {name: checkpoint["state_dict"][name].clone() for name in saved["raw"]}
            _put(pl_module, saved["raw"])

    def _begin(self, module: LightningModule) -> None:
        self.count, self.mean = 1, {name: value.clone() for name, value in _weights(module).items()}


def _weights(module: LightningModule) -> dict[str, Tensor]:
    """What is averaged, by its name in the checkpoint; weights with two names have one here."""
    return {name: p.detach() for name, p in module.named_parameters() if p.requires_grad}


@torch.no_grad()
def _put(module: LightningModule, values: dict[str, Tensor]) -> None:
    for name, parameter in module.named_parameters():
        if name in values:
            parameter.copy_(values[name])
