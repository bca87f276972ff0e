"""Population based training: trials train side by side, and the worst go on from the weights of the best.

    epoch k·interval:  all trials that are not over wait here
                       worst quantile:  weights, optimizer and generators of a trial drawn from the best quantile,
                                        and its values, changed           (Jaderberg et al. 2017, truncation selection)
                       the others:      go on as they are

The exchange is synchronous: it looks at the objectives after one epoch of all trials, whichever came first, and every
draw is a function of (search.seed, epoch, trial). So what happens is a function of the sweep's file, however many
trials run at a time and whatever dies. Trials that are over, failed ones too, take no part.

    pbt   x' = x · a factor, within its range; at times drawn anew
    pb2   x' = what promises the largest gain by a Gaussian process over all trials so far (`bandit`)
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gatesweep.config.digest import seed_of
from gatesweep.config.dimension import Dimension
from gatesweep.sweep.draws import draw
from gatesweep.sweep.independent import Grid
from gatesweep.sweep.mutable import fixed, mutable
from gatesweep.sweep.search import Params
from gatesweep.sweep.spec import SweepSpec
from gatesweep.sweep.trial import Trial
from gatesweep.track.records import Record

Explorer = Callable[[Trial, np.random.Generator], Params]
"""From a donor to the values of whoever copies it."""


def size(spec: SweepSpec) -> int:
    """How many trials there are in all."""
    grid = spec.search.name == "grid"
    return min(spec.budget.trials, len(Grid(spec.space).points)) if grid else spec.budget.trials


class Population:
    """A schedule that stops nobody: it says who waits, and who copies whom."""

    def __init__(self, spec: SweepSpec) -> None:
        self.spec, self.size = spec, size(spec)
        self.metric = spec.goal.metric
        self.sign = 1.0 if spec.goal.mode == "min" else -1.0
        self.changing = mutable(spec)
        self.last = 0
        """The epoch of the last exchange that is in the log."""

    # ---- as every schedule

    def add(self, trial: str) -> None:
        """Trials speak for themselves."""

    def goes_on(self, trial: str, epoch: int, value: float) -> bool:
        return True

    def over(self, trial: str, epoch: int, value: float | None) -> None:
        """Trials speak for themselves."""

    def rungs(self) -> list[tuple[float, dict[str, float]]]:
        return []

    # ---- the exchange

    def pauses(self, epoch: int) -> bool:
        """At the border of an exchange that is still to come; a trial that was tried again passes those that are over.
        """
        return epoch > self.last and epoch % self.spec.scheduler.interval_epochs == 0

    def due(self, trials: Collection[Trial]) -> int | None:
        epoch, live = self.last + self.spec.scheduler.interval_epochs, [trial for trial in trials if trial.live]
        arrived = len(trials) >= self.size and bool(live) and all(trial.epoch >= epoch for trial in live)
        return epoch if arrived and epoch < self.spec.experiment.trainer.max_epochs else None

    def exchanged(self, epoch: int) -> None:
        self.last = epoch

    def exchange(self, trials: Collection[Trial], epoch: int) -> list[Record]:
        groups: dict[str, list[Trial]] = {}
        for trial in (trial for trial in trials if trial.live):
            groups.setdefault(fixed(trial.params, self.changing), []).append(trial)
        found: list[Record] = []
        for group in groups.values():
            found += self._within(group, trials, epoch)
        return sorted(found, key=lambda change: str(change["trial"]))

    def _within(self, group: list[Trial], trials: Collection[Trial], epoch: int) -> list[Record]:
        """The exchange among trials that may copy each other."""
        ranked = sorted(group, key=lambda trial: (self.sign * trial.metrics[epoch][self.metric], trial.number))
        count = min(math.ceil(self.spec.scheduler.quantile * len(ranked)), len(ranked) // 2)
        if not count:
            return []
        changed = self._explorer(trials, ranked[:-count], epoch)
        found = []
        for trial in sorted(ranked[-count:], key=lambda trial: trial.number):
            seed = seed_of(self.spec.search.seed, "mutate", epoch, trial.number)
            rng = np.random.default_rng(seed)
            donor = ranked[int(rng.integers(count))]
            params = changed(donor, rng)
            found.append({"trial": trial.name, "from": donor.name, "checkpoint": donor.checkpoint, "seed": seed,
                          "was": _plain(trial.params), "params": _plain(params)})  # fmt: skip
        return found

    def _explorer(self, trials: Collection[Trial], staying: list[Trial], epoch: int) -> Explorer:
        """What gives a copied trial its new values."""
        by_chance = Perturbation(self.spec, self.changing)
        if self.spec.scheduler.name == "pbt":
            return by_chance
        from gatesweep.sweep.bandit import Bandit

        shape = fixed(staying[0].params, self.changing)
        alike = [trial for trial in trials if fixed(trial.params, self.changing) == shape]
        return Bandit(self.spec, by_chance, alike, staying, epoch)


@dataclass(frozen=True)
class Perturbation:
    """New values near the donor's, or anywhere in their dimension."""

    spec: SweepSpec
    changing: list[str]

    def __call__(self, donor: Trial, rng: np.random.Generator) -> Params:
        """Every value that may change, changed."""
        return self.of(donor.params, self.changing, rng)

    def of(self, params: Mapping[str, Any], keys: list[str], rng: np.random.Generator) -> Params:
        """The donor's values, those of `keys` changed. As many draws whatever comes out, so that they do not shift."""
        schedule, found = self.spec.scheduler, dict(params)
        for key in (key for key in keys if key in params):
            dimension = self.spec.space[key]
            anew, fresh, side = rng.random() < schedule.resample, draw(dimension, rng), int(rng.integers(2))
            found[key] = fresh if anew else moved(dimension, params[key], side, schedule.factors)
        return found


def moved(dimension: Dimension, value: Any, side: int, factors: tuple[float, float]) -> Any:
    """A value changed a little: a number times `factors[side]`, within its range; a choice's neighbour on that side."""
    if dimension.kind == "choice":
        choices = [_plain(choice) for choice in dimension.corners]
        place = choices.index(_plain(value)) + (-1, 1)[side]
        return dimension.corners[min(max(place, 0), len(choices) - 1)]
    low, high = dimension.bounds
    near = min(max(float(value) * factors[side], low), high)
    return round(near) if "int" in dimension.kind else near


def _plain(value: Any) -> Any:
    """As it comes back from the log."""
    return json.loads(json.dumps(value))
