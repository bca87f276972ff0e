"""Population based bandits (PB2; Parker-Holder, Nguyen & Roberts 2020): the values that promise the largest gain now.

Each trial's stretch between two exchanges is an observation: its values x, the exchange t that it began at, the
objective y that it began with, and what it gained an epoch, g (more is better). A time-varying Gaussian process over
(y, x) says what a copied trial would gain from here with other values:

    x* = argmax  μ(x) + √β · σ(x),    β = .2 + max(0, ln .4 N)                 β as in the authors' code

y is scaled to [0, 1], x too, logarithmic dimensions by their logarithm; g is standardised and kept within ±2. σ also
knows the values that other trials go on with, those chosen just before among them, so that a batch spreads (Desautels,
Krause & Burdick 2014). Choices have no distance: they change as in pbt, as do all values at an exchange before which
there are not two observations.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from gatesweep.config.dimension import Dimension
from gatesweep.sweep.search import Params
from gatesweep.sweep.spec import SweepSpec
from gatesweep.sweep.time_varying import Array, Process, fitted
from gatesweep.sweep.trial import Trial

if TYPE_CHECKING:
    from gatesweep.sweep.population import Perturbation

NEWEST = 200
"""Observations at most: the process costs their number cubed."""

CANDIDATES = 1024
"""Points of which the most promising is taken."""


@dataclass
class Bandit:
    """New values for the copied trials of one exchange, one after the other."""

    spec: SweepSpec
    by_chance: Perturbation
    trials: Sequence[Trial]
    """All that may copy each other, those that are over too."""

    staying: Sequence[Trial]
    """Those that go on with the values that they have."""

    epoch: int
    _chosen: list[Params] = field(default_factory=list)

    def __call__(self, donor: Trial, rng: np.random.Generator) -> Params:
        """The donor's values, each range's replaced by the most promising one."""
        choices = [key for key in self.by_chance.changing if key not in self._ranges]
        params = self.by_chance.of(donor.params, choices, rng)
        if self._ranges and len(self._seen.g_N) > 1:
            x_K = self._most_promising(donor.metrics[self.epoch][self.spec.goal.metric], rng)
            params |= {key: at(self.spec.space[key], float(x)) for key, x in zip(self._ranges, x_K, strict=True)}
        else:
            params = self.by_chance.of(params, self._ranges, rng)
        self._chosen.append(params)
        return params

    def _most_promising(self, y: float, rng: np.random.Generator) -> Array:
        seen, process = self._seen, self._process
        now = self.epoch / self.spec.scheduler.interval_epochs
        ahead = [self._units(params) for params in (*(trial.params for trial in self.staying), *self._chosen)]
        pending_MD = seen.inputs(y, np.array(ahead).reshape(-1, len(self._ranges)))
        wider = Process(np.vstack([process.x_ND, pending_MD]),
                        np.concatenate([process.t_N, np.full(len(pending_MD), now)]), process.theta)  # fmt: skip
        x_CK = rng.random((CANDIDATES, len(self._ranges)))
        z_CD, width = seen.inputs(y, x_CK), math.sqrt(0.2 + max(0.0, math.log(0.4 * len(seen.g_N))))
        promise_C = process.mean(seen.standard_N, z_CD, now) + width * wider.spread(z_CD, now)
        return np.asarray(x_CK[int(np.argmax(promise_C))])

    @cached_property
    def _ranges(self) -> list[str]:
        """Dimensions that have a distance; the same for all these trials."""
        there = self.staying[0].params
        return [key for key in self.by_chance.changing if key in there and self.spec.space[key].kind != "choice"]

    @cached_property
    def _seen(self) -> Observations:
        rows = sorted(self._stretches(), key=lambda row: row[1])[-NEWEST:]
        x, t, y, g = ([row[place] for row in rows] for place in range(4))
        return Observations(np.array(x, dtype=float).reshape(-1, len(self._ranges)), *map(np.array, (t, y, g)))

    @cached_property
    def _process(self) -> Process:
        seen = self._seen
        return fitted(seen.inputs_ND, seen.t_N, seen.standard_N)

    def _stretches(self) -> Iterator[tuple[list[float], float, float, float]]:
        """(x, t, y, g) of every stretch so far; of a copied trial from what its donor had. The first one counts from
        the end of epoch 1: there is no objective before it."""
        metric, step = self.spec.goal.metric, self.spec.scheduler.interval_epochs
        sign = 1.0 if self.spec.goal.mode == "max" else -1.0
        by_name = {trial.name: trial for trial in self.trials}
        for trial in self.trials:
            for begin in range(0, self.epoch, step):
                first = begin or 1
                source = next((by_name[m.donor] for m in trial.mutations if m.epoch == begin), trial)
                if first < begin + step and begin + step in trial.metrics:
                    before, after = source.metrics[first][metric], trial.metrics[begin + step][metric]
                    yield (self._units(trial.params_at(begin + 1)), begin / step, before,
                           sign * (after - before) / (begin + step - first))  # fmt: skip

    def _units(self, params: Any) -> list[float]:
        return [unit(self.spec.space[key], params[key]) for key in self._ranges]


@dataclass(frozen=True)
class Observations:
    """N stretches of training, with K values each."""

    x_NK: Array
    t_N: Array
    y_N: Array
    g_N: Array

    @property
    def inputs_ND(self) -> Array:
        """What the process sees of them."""
        return self.inputs(self.y_N, self.x_NK)

    def inputs(self, y: Any, x_MK: Array) -> Array:
        """[M, 1 + K]: y on the scale of those observed, beside x."""
        low, high = self.y_N.min(), self.y_N.max()
        return np.column_stack([np.broadcast_to((y - low) / ((high - low) or 1.0), len(x_MK)), x_MK])

    @property
    def standard_N(self) -> Array:
        """The gains with mean 0 and deviation 1, within ±2."""
        return np.asarray(np.clip((self.g_N - self.g_N.mean()) / (self.g_N.std() or 1.0), -2.0, 2.0))


def unit(dimension: Dimension, value: Any) -> float:
    """Where a value lies in its range, from 0 to 1."""
    low, high = dimension.bounds
    if "log" in dimension.kind:
        return math.log(float(value) / low) / math.log(high / low)
    return (float(value) - low) / (high - low)


def at(dimension: Dimension, place: float) -> Any:
    """The value that lies there."""
    low, high = dimension.bounds
    value = low * (high / low) ** place if "log" in dimension.kind else low + place * (high - low)
    value = min(max(value, low), high)
    return round(value) if "int" in dimension.kind else value
