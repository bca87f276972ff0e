"""The sections of training: how the weights move, how the learning rate changes, how long and on what it runs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from gatesweep.config.section import Section

Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]


class OptimizerConfig(Section):
    """How the weights move. Every field here can be a search dimension."""

    name: Literal["adamw", "adam", "sgd", "rmsprop", "adagrad"] = "adamw"
    """Which rule; each is torch.optim's."""

    lr: PositiveFloat = 3e-3
    """Peak learning rate, reached after the schedule's `warmup_steps`."""

    momentum: Fraction = 0.0
    """Momentum of sgd and rmsprop; the others have none and leave it alone."""

    nesterov: bool = False
    """Nesterov's momentum, for sgd with momentum above 0."""

    weight_decay: NonNegativeFloat = 0.0
    """Decoupled in adamw, added to the gradient in the others."""

    betas: tuple[Fraction, Fraction] = (0.9, 0.999)
    """Decay of the first and second moment in adam and adamw."""

    alpha: Fraction = 0.99
    """Decay of the squared gradient in rmsprop."""

    layer_decay: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    """What the rate is multiplied by from the last layer to the one below, and so on down to the embedding; 1 trains
    all alike (discriminative rates; Howard & Ruder 2018 divide by 2.6)."""

    clip_norm: PositiveFloat | None = 1.0
    """Ceiling on the global gradient norm; none leaves gradients alone."""

    average: Literal["never", "always", "triggered"] = "never"
    """Whether validation, and the checkpoint's weights, are the mean over optimizer steps: always, from the first one
    on (Polyak & Juditsky 1992); or from the end of the epoch on whose monitored metric is worse than the best of all
    but the last `average_patience` (NT-ASGD; Merity et al. 2017). Training goes on from its own weights."""

    average_patience: NonNegativeInt = 5
    """Epochs that the trigger leaves out of its comparison."""

    @model_validator(mode="after")
    def _nesterov_needs_momentum(self) -> OptimizerConfig:
        if self.nesterov and self.name == "sgd" and self.momentum == 0.0:
            raise ValueError("nesterov needs momentum above 0\n\nhint: set optimizer.momentum, for example 0.9")
        return self


class ScheduleConfig(Section):
    """How the learning rate changes. Lengths are in optimizer steps unless the name says epochs."""

    name: Literal["constant", "cosine", "step", "linear", "one_cycle", "plateau", "warmup"] = "constant"
    """constant; cosine to `final_factor`; step by `factor` every `step_epochs`; linear to `final_factor` after the
    share `hold`; one_cycle (Smith 2018); plateau by `factor` when the monitored metric rests; warmup: linear, then
    constant."""

    warmup_steps: NonNegativeInt = 0
    """Linear rise from near 0, before any schedule but one_cycle, which has its own."""

    final_factor: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    """Where cosine, linear and one_cycle end, as a share of the peak."""

    hold: Fraction = 0.0
    """Share of the training that linear stays at the peak for."""

    factor: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.5
    """What step and plateau multiply by."""

    step_epochs: PositiveInt = 5
    """Epochs between two drops of step."""

    hold_epochs: PositiveInt | None = None
    """Epochs before the first drop of step; none: `step_epochs`."""

    patience: NonNegativeInt = 2
    """Epochs without improvement before plateau drops."""

    @model_validator(mode="after")
    def _warmup_has_steps(self) -> ScheduleConfig:
        if self.name == "warmup" and self.warmup_steps == 0:
            raise ValueError("the schedule 'warmup' needs warmup_steps above 0\n\nhint: set schedule.warmup_steps")
        if self.name in ("one_cycle", "plateau") and self.warmup_steps:
            raise ValueError(
                f"the schedule '{self.name}' takes no warmup_steps\n\nhint: leave schedule.warmup_steps out"
            )
        return self


class EarlyStopping(Section):
    """When to stop before `max_epochs`."""

    patience: PositiveInt = 5
    """Epochs without improvement of the monitored metric."""

    min_delta: NonNegativeFloat = 0.0
    """The least change that counts as improvement."""


class TrainerConfig(Section):
    """How long, in what portions and on what a training runs."""

    max_epochs: PositiveInt = 20
    """Passes over the training split."""

    unfreeze_epochs: PositiveInt | None = None
    """Gradual unfreezing: the last layer alone trains at first, and every so many epochs the one below joins in (Howard
    & Ruder 2018); none trains all from the start."""

    batch_size: PositiveInt = 64
    """Examples in one forward and backward pass, of all workers together."""

    workers: PositiveInt = 1
    """Processes that train the model together, each with an equal share of every batch; rate and steps stay as they
    are. Sums are ordered by them: another number gives other last digits. A sweep puts its `resources.workers` here."""

    accumulate: PositiveInt = 1
    """Batches whose gradients are added up before one optimizer step."""

    precision: Literal["32", "64", "bf16", "16"] = "32"
    """Number format: bf16 and 16 are Lightning's mixed precision."""

    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    """What to train on."""

    devices: Annotated[int, Field(ge=1, le=1)] = 1
    """How many of them: one per worker."""

    threads: PositiveInt = 1
    """CPU threads of torch. Sums are ordered by them: another number gives other last digits."""

    deterministic: bool = True
    """Only algorithms that give the same bits twice."""

    monitor: str = "val/loss"
    """The metric that best checkpoint, early stopping and plateau look at. A sweep puts its objective here."""

    mode: Literal["min", "max"] = "min"
    """Whether less or more of it is better."""

    early_stopping: EarlyStopping | None = None
    """none trains to `max_epochs`."""

    @model_validator(mode="after")
    def _batch_is_shared_evenly(self) -> TrainerConfig:
        if self.batch_size % self.workers:
            fewer = next(n for n in range(self.workers, 0, -1) if self.batch_size % n == 0)
            even = self.batch_size - self.batch_size % self.workers or self.workers
            raise ValueError(f"batch_size: {self.batch_size} examples cannot be shared evenly by {self.workers} workers"
                             f"\n\nhint: batch_size: {even}, or workers: {fewer}")  # fmt: skip
        return self


class KeepConfig(Section):
    """What stays on disk once a run is over."""

    checkpoints: Literal["best", "last", "all"] = "best"
    """Which checkpoints of a run."""

    top: PositiveInt = 5
    """Of how many trials of a sweep, the best ones first."""
