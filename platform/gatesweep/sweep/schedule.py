"""Who stops the trials that promise little. The decision itself is Ray Tune's; what it was is in the sweep's log."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Protocol

from gatesweep.sweep.spec import SweepSpec
from gatesweep.sweep.trial import Trial
from gatesweep.track.records import Record


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

    def pauses(self, epoch: int) -> bool:
        """Whether a trial waits for the others after `epoch`."""

    def due(self, trials: Collection[Trial]) -> int | None:
        """The epoch that all trials have come to, and after which some may copy others; none while there is none."""

    def exchange(self, trials: Collection[Trial], epoch: int) -> list[Record]:
        """Who copies whom after `epoch`, and with which new values; the same for the same trials."""

    def exchanged(self, epoch: int) -> None:
        """The exchange after `epoch` is in the log."""


def decision(schedule: Scheduler, trial: str, epoch: int, value: float, *, final: bool) -> str:
    """What follows an epoch: `continue`, `stop`, or `pause` until the other trials have come as far."""
    if not schedule.goes_on(trial, epoch, value):
        return "stop"
    return "pause" if schedule.pauses(epoch) and not final else "continue"


def scheduler(spec: SweepSpec) -> Scheduler:
    """The scheduler that the spec names."""
    match spec.scheduler.name:
        case "asha":
            return Asha(spec, spec.scheduler.grace_epochs)
        case "hyperband":
            return Hyperband(spec)
        case "median":
            return Median(spec)
        case "none":
            return Patient()
        case "pbt" | "pb2":
            from gatesweep.sweep.population import Population

            return Population(spec)


class Apart:
    """Trials that have nothing from each other but the comparison."""

    def pauses(self, epoch: int) -> bool:
        return False

    def due(self, trials: Collection[Trial]) -> int | None:
        return None

    def exchange(self, trials: Collection[Trial], epoch: int) -> list[Record]:
        return []

    def exchanged(self, epoch: int) -> None:
        """Nothing to remember."""


class Patient(Apart):
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


class Asha(Apart):
    """Asynchronous successive halving (Li et al., 2020) with one bracket: Ray Tune's ASHAScheduler, fed by our epochs.

    One bracket draws no random numbers, so its decisions are a function of the results in their order.
    """

    def __init__(self, spec: SweepSpec, grace_epochs: int) -> None:
        from ray.tune.schedulers import ASHAScheduler

        self.metric = spec.goal.metric
        self.ray: Any = ASHAScheduler(
            time_attr="epoch",
            metric=self.metric,
            mode=spec.goal.mode,
            brackets=1,
            max_t=spec.experiment.trainer.max_epochs,
            grace_period=grace_epochs,
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


class Hyperband(Apart):
    """Asynchronous Hyperband (Li et al., 2018 and 2020): brackets of successive halving side by side, each `Asha`.

    Bracket k lets every trial train for grace · η^k epochs before it stops any. With K brackets, s = K - 1 - k halvings
    are left to it, and its share of the trials is Hyperband's n_s ∝ η^s / (s + 1). Ray Tune would draw a trial's
    bracket from numpy's global generator; here it follows from the trial's number: each trial goes to the bracket that
    lies furthest behind its share.
    """

    def __init__(self, spec: SweepSpec) -> None:
        epochs = spec.scheduler.milestones(spec.experiment.trainer.max_epochs)
        self.brackets = [Asha(spec, grace) for grace in epochs[: spec.scheduler.brackets]]
        last, eta = len(self.brackets) - 1, spec.scheduler.reduction
        weights = [eta ** (last - k) / (last - k + 1) for k in range(last + 1)]
        self.shares = [weight / sum(weights) for weight in weights]
        self._given: list[int] = []

    def bracket_of(self, number: int) -> int:
        """The bracket of trial `number`."""
        counts = Counter(self._given)
        for drawn in range(len(self._given), number + 1):
            behind = [share * (drawn + 1) - counts[k] for k, share in enumerate(self.shares)]
            self._given.append(max(range(len(behind)), key=lambda k: (round(behind[k], 9), -k)))
            counts[self._given[-1]] += 1
        return self._given[number]

    def add(self, trial: str) -> None:
        self._of(trial).add(trial)

    def goes_on(self, trial: str, epoch: int, value: float) -> bool:
        return self._of(trial).goes_on(trial, epoch, value)

    def over(self, trial: str, epoch: int, value: float | None) -> None:
        self._of(trial).over(trial, epoch, value)

    def rungs(self) -> list[tuple[float, dict[str, float]]]:
        return [rung for bracket in self.brackets for rung in bracket.rungs()]

    def _of(self, trial: str) -> Asha:
        return self.brackets[self.bracket_of(int(trial.lstrip("t")))]


class Median(Apart):
    """The median stopping rule (Golovin et al., 2017): Ray Tune's MedianStoppingRule, fed by our epochs.

    A trial is stopped if its best value so far is worse than the median, over the other trials that came as far, of
    their mean values up to there; both count from `grace_epochs` on.
    """

    def __init__(self, spec: SweepSpec) -> None:
        from ray.tune.schedulers import MedianStoppingRule

        self.metric = spec.goal.metric
        self.ray: Any = MedianStoppingRule(
            time_attr="epoch", metric=self.metric, mode=spec.goal.mode, grace_period=spec.scheduler.grace_epochs,
            min_samples_required=spec.scheduler.min_trials or 3,
            min_time_slice=math.inf,  # type: ignore[arg-type]  # it pauses no trial in favour of one that waits
        )  # fmt: skip

    def add(self, trial: str) -> None:
        """It counts from its first epoch on."""

    def goes_on(self, trial: str, epoch: int, value: float) -> bool:
        decision = self.ray.on_trial_result(None, _Stand(trial), {"epoch": epoch, self.metric: value})
        return bool(decision == "CONTINUE")

    def over(self, trial: str, epoch: int, value: float | None) -> None:
        """What it reported stays; of a failed trial nothing does."""
        if value is None:
            self.ray._results.pop(_Stand(trial), None)

    def rungs(self) -> list[tuple[float, dict[str, float]]]:
        return []
