"""Optimizers and schedules by name, all of them torch.optim's."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from torch import nn
from torch.optim import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, OneCycleLR, ReduceLROnPlateau, SequentialLR, StepLR

from gatesweep.errors import ConfigError
from gatesweep.train.config import OptimizerConfig, ScheduleConfig, TrainerConfig
from gatesweep.train.groups import with_rates


def optimizer(config: OptimizerConfig, model: nn.Module) -> Optimizer:
    """The rule over every trainable parameter of `model`, by depth where `layer_decay` gives each layer its rate."""
    parameters: list[Any] = [p for p in model.parameters() if p.requires_grad]
    if not parameters:
        raise ConfigError("every parameter is frozen: nothing is left to train", place="init_from.freeze",
                          hint="freeze fewer parts, or score the run as it is: gatesweep evaluate RUN")
    if config.layer_decay < 1.0:
        parameters = with_rates(model, config.lr, config.layer_decay)
    common: dict[str, Any] = {"lr": config.lr, "weight_decay": config.weight_decay}
    match config.name:
        case "sgd":
            return SGD(parameters, momentum=config.momentum, nesterov=config.nesterov, **common)
        case "adam":
            return Adam(parameters, betas=config.betas, **common)
        case "adamw":
            return AdamW(parameters, betas=config.betas, **common)
        case "rmsprop":
            return RMSprop(parameters, alpha=config.alpha, momentum=config.momentum, **common)
        case "adagrad":
            return Adagrad(parameters, **common)


def factory(
    optimizer_config: OptimizerConfig, schedule: ScheduleConfig, trainer: TrainerConfig
) -> Callable[[nn.Module, int], dict[str, Any]]:
    """What a task's module calls from `configure_optimizers`, with the model and the run's optimizer steps."""

    def make(model: nn.Module, total_steps: int) -> dict[str, Any]:
        rule = optimizer(optimizer_config, model)
        plan = _schedule(rule, optimizer_config, schedule, trainer, max(total_steps, 1))
        return {"optimizer": rule, "lr_scheduler": plan} if plan else {"optimizer": rule}

    return make


def _schedule(
    rule: Optimizer, optimizer_config: OptimizerConfig, config: ScheduleConfig, trainer: TrainerConfig, total_steps: int
) -> dict[str, Any] | None:
    """Lightning's description of the schedule: what steps, and when. Constant without warmup is none at all."""
    if config.name == "plateau":
        plateau = ReduceLROnPlateau(rule, mode=trainer.mode, factor=config.factor, patience=config.patience)
        return {"scheduler": plateau, "interval": "epoch", "monitor": trainer.monitor}
    if config.name == "one_cycle":
        final = max(config.final_factor, 1e-4)
        peaks = [group["lr"] for group in rule.param_groups]
        cycle = OneCycleLR(rule, max_lr=peaks, total_steps=total_steps, final_div_factor=1 / (25 * final))
        return {"scheduler": cycle, "interval": "step"}
    steps_per_epoch = max(1, math.ceil(total_steps / trainer.max_epochs))
    main = _after_warmup(rule, optimizer_config, config, total_steps - config.warmup_steps, steps_per_epoch)
    if config.warmup_steps:
        rise = LambdaLR(rule, lambda step: min(1.0, (step + 1) / (config.warmup_steps + 1)))
        flat = main or LambdaLR(rule, lambda step: 1.0)
        main = SequentialLR(rule, [rise, flat], milestones=[config.warmup_steps])
    return {"scheduler": main, "interval": "step"} if main else None


def _after_warmup(
    rule: Optimizer, optimizer_config: OptimizerConfig, config: ScheduleConfig, steps: int, steps_per_epoch: int
) -> Any:
    if config.name == "cosine" and optimizer_config.layer_decay < 1.0:  # torch's ends every group at the same rate
        return LambdaLR(rule, lambda step: _cosine(min(1.0, step / max(1, steps)), config.final_factor))
    if config.name == "cosine":
        return CosineAnnealingLR(rule, T_max=max(1, steps), eta_min=config.final_factor * optimizer_config.lr)
    if config.name == "step" and config.hold_epochs is None:
        return StepLR(rule, step_size=config.step_epochs * steps_per_epoch, gamma=config.factor)
    if config.name == "step":
        return LambdaLR(rule, lambda step: config.factor ** drops(config, step // steps_per_epoch))
    if config.name == "linear":
        return LambdaLR(rule, lambda step: falling(config, step / max(1, steps)))
    return None


def _cosine(share: float, final: float) -> float:
    """Of the peak, when that share of the steps is over."""
    return final + (1 - final) * (1 + math.cos(math.pi * share)) / 2


def drops(config: ScheduleConfig, epoch: int) -> int:
    """How often step has dropped by this epoch, counted from 0."""
    held = config.hold_epochs or config.step_epochs
    return 0 if epoch < held else 1 + (epoch - held) // config.step_epochs


def falling(config: ScheduleConfig, share: float) -> float:
    """Linear's factor once this share of the training is done."""
    way = min(1.0, max(0.0, (share - config.hold) / (1 - config.hold)))
    return 1 - way * (1 - config.final_factor)
