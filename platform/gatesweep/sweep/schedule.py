"""Who stops the trials that promise little. The decision itself is Ray Tune's; what it was is in the sweep's log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from gatesweep.sweep.spec import SweepSpec


class Scheduler(Protocol):
    """Decides after every epoch whether a trial goes on."""

    def add(self, trial: str) -> None:
        """A trial has been proposed."""

    def goes_on(self, trial: str, epoch: int, value: float) -> bool:
        """Whether the trial trains on, given its objective after `epoch`."""

    def over(self, trial: str, epoch: int, value: float | None) -> None:
        """The trial has ended; `value` is None where it failed."""

    def rungs(self) -> list[tuple[float, dict[str, float]]]:
        """What the scheduler remembers: per rung, the trials that reached it and their values (more is better)."""


def scheduler(spec: SweepSpec) -> Scheduler:
    """The scheduler that the spec names."""
    return Asha(spec) if spec.scheduler.name == "asha" else Patient()


class Patient:
    """Every trial trains to its end."""

    def add(self, trial: str) -> None:
        """Nothing to remember."""

    def goes_on(self, trial: str, epoch: int, value: float) -> bool:
        return True

    def over(self, trial: str, epoch: int, value: float | None) -> None:
        """Nothing to remember."""

    def rungs(self) -> list[tuple[float, dict[str, float]]]:
        return []


@dataclass(frozen=True)
class _Stand:
    """What Ray's scheduler sees of a trial: our id, never Ray's, which changes with each attempt."""

    trial_id: str


class Asha:
    """Asynchronous successive halving (Li et al., 2018) with one bracket: Ray Tune's ASHAScheduler, fed by our epochs.

    One bracket draws no random numbers, so its decisions are a function of the results in their order.
    """

    def __init__(self, spec: SweepSpec) -> None:
        from ray.tune.schedulers import ASHAScheduler

        self.metric = spec.objective.metric
        self.ray: Any = ASHAScheduler(
            time_attr="epoch",
            metric=self.metric,
            mode=spec.objective.mode,
            brackets=1,
            max_t=spec.experiment.trainer.max_epochs,
            grace_period=spec.scheduler.grace_epochs,
            reduction_factor=spec.scheduler.reduction,
        )
        self.stands: dict[str, _Stand] = {}

    def add(self, trial: str) -> None:
        self.stands[trial] = _Stand(trial)
        self.ray.on_trial_add(None, self.stands[trial])

    def goes_on(self, trial: str, epoch: int, value: float) -> bool:
        decision = self.ray.on_trial_result(None, self.stands[trial], {"epoch": epoch, self.metric: value})
        return bool(decision == "CONTINUE")

    def over(self, trial: str, epoch: int, value: float | None) -> None:
        if value is None:
            self.ray.on_trial_remove(None, self.stands[trial])
        else:
            self.ray.on_trial_complete(None, self.stands[trial], {"epoch": epoch, self.metric: value})

    def rungs(self) -> list[tuple[float, dict[str, float]]]:
        return [(milestone, dict(sorted(recorded.items()))) for milestone, recorded in self.ray._brackets[0]._rungs]
