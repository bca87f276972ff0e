"""Who proposes the next configuration: random, grid, or Optuna's TPE, all behind one interface.

No searcher keeps state of its own that a restart could lose: proposal n is a function of the sweep's seed, of n, and of
the trials it has been told about, and those are in the sweep's log.
"""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from gatesweep.config.digest import seed_of
from gatesweep.config.dimension import Dimension
from gatesweep.sweep.space import active, ordered
from gatesweep.sweep.spec import SearchConfig, SweepSpec

Params = dict[str, Any]
Space = Mapping[str, Dimension]


class Searcher(Protocol):
    """Proposes configurations and learns from what became of them."""

    def propose(self, number: int) -> tuple[Params, dict[str, Any]] | None:
        """The parameters of trial `number` and what the searcher wants remembered of them; None: no more to try."""

    def adopt(self, number: int, params: Params, memory: dict[str, Any]) -> None:
        """Take over a proposal from the log as if it had just been made."""

    def tell(self, number: int, value: float | None) -> None:
        """Trial `number` is over with this best objective value; None: it failed."""

    def reopen(self, number: int) -> None:
        """Trial `number` is not over after all: it is tried again."""


def searcher(spec: SweepSpec) -> Searcher:
    """The searcher that the spec names."""
    match spec.search.name:
        case "random":
            return RandomSearch(spec.space, spec.search)
        case "grid":
            return GridSearch(spec.space)
        case "tpe":
            return TPE(spec.space, spec.search, spec.objective.mode)


class RandomSearch:
    """Every proposal drawn by itself: `numpy.random.default_rng` seeded from (seed, n)."""

    def __init__(self, space: Space, config: SearchConfig) -> None:
        self.space, self.config = space, config

    def propose(self, number: int) -> tuple[Params, dict[str, Any]] | None:
        rng = np.random.default_rng(seed_of(self.config.seed, "random", number))
        params: Params = {}
        for key in ordered(self.space):
            value = _draw(self.space[key], rng)
            if active(self.space, key, params):
                params[key] = value
        return params, {}

    def adopt(self, number: int, params: Params, memory: dict[str, Any]) -> None:
        """Nothing to remember."""

    def tell(self, number: int, value: float | None) -> None:
        """Nothing to learn."""

    def reopen(self, number: int) -> None:
        """Nothing to unlearn."""


def _draw(dimension: Dimension, rng: np.random.Generator) -> Any:
    if dimension.kind == "choice":
        return dimension.corners[int(rng.integers(len(dimension.corners)))]
    low, high = dimension.bounds
    match dimension.kind:
        case "uniform":
            return float(rng.uniform(low, high))
        case "log_uniform":
            return float(math.exp(rng.uniform(math.log(low), math.log(high))))
        case "int_uniform":
            return int(rng.integers(int(low), int(high) + 1))
        case _:
            drawn = math.exp(rng.uniform(math.log(low - 0.5), math.log(high + 0.5)))
            return int(min(max(round(drawn), low), high))


class GridSearch:
    """Every combination of choices, the last dimension fastest; an inactive dimension adds no combinations."""

    def __init__(self, space: Space) -> None:
        self.points: list[Params] = []
        keys = ordered(space)
        for values in itertools.product(*(space[key].corners for key in keys)):
            params: Params = {}
            for key, value in zip(keys, values, strict=True):
                if active(space, key, params):
                    params[key] = value
            if params not in self.points:
                self.points.append(params)

    def propose(self, number: int) -> tuple[Params, dict[str, Any]] | None:
        return (self.points[number], {}) if number < len(self.points) else None

    def adopt(self, number: int, params: Params, memory: dict[str, Any]) -> None:
        """Nothing to remember."""

    def tell(self, number: int, value: float | None) -> None:
        """Nothing to learn."""

    def reopen(self, number: int) -> None:
        """Nothing to unlearn."""


class TPE:
    """Optuna's multivariate tree-structured Parzen estimator (Bergstra et al., 2011; Watanabe, 2023).

    Running trials count as bad ones (constant liar), so that concurrent proposals spread. A choice is modelled by its
    index. The sampler is made anew, seeded from (seed, n), before every proposal: it has no state to lose.
    """

    def __init__(self, space: Space, config: SearchConfig, mode: str) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.space, self.config = space, config
        self.study = optuna.create_study(direction="minimize" if mode == "min" else "maximize")

    def propose(self, number: int) -> tuple[Params, dict[str, Any]] | None:
        self.study.sampler = self._sampler(number)
        trial = self.study.ask()
        params: Params = {}
        for key in ordered(self.space):
            if active(self.space, key, params):
                params[key] = self._suggest(trial, key)
        if trial.number != number:
            raise AssertionError(f"the study proposes trial {trial.number} where the sweep is at {number}")
        return params, dict(self.study.trials[number].system_attrs)

    def adopt(self, number: int, params: Params, memory: dict[str, Any]) -> None:
        from optuna.trial import TrialState, create_trial

        coded = {key: self._code(key, value) for key, value in params.items()}
        self.study.add_trial(
            create_trial(
                state=TrialState.RUNNING,
                params=coded,
                system_attrs=memory,
                distributions={key: self._distribution(key) for key in params},
            )
        )

    def tell(self, number: int, value: float | None) -> None:
        from optuna.trial import TrialState

        if value is None:
            self.study.tell(number, state=TrialState.FAIL)
        else:
            self.study.tell(number, value)

    def reopen(self, number: int) -> None:
        """A study does not open an ended trial again: another study is told everything but that end."""
        import optuna
        from optuna.trial import TrialState, create_trial

        before = self.study.trials
        self.study = optuna.create_study(direction=self.study.direction)
        for trial in before:
            over = trial.number != number and trial.state.is_finished()
            self.study.add_trial(create_trial(
                state=trial.state if over else TrialState.RUNNING, params=trial.params, system_attrs=trial.system_attrs,
                distributions=trial.distributions, value=trial.value if over else None))  # fmt: skip

    def _sampler(self, number: int) -> Any:
        import optuna

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return optuna.samplers.TPESampler(
                seed=seed_of(self.config.seed, "tpe", number),
                n_startup_trials=self.config.startup_trials,
                multivariate=True,
                group=True,
                constant_liar=True,
            )

    def _suggest(self, trial: Any, key: str) -> Any:
        dimension = self.space[key]
        if dimension.kind == "choice":
            return dimension.corners[trial.suggest_categorical(key, list(range(len(dimension.corners))))]
        low, high = dimension.bounds
        if "int" in dimension.kind:
            return trial.suggest_int(key, int(low), int(high), log=dimension.kind.startswith("log"))
        return trial.suggest_float(key, low, high, log=dimension.kind.startswith("log"))

    def _code(self, key: str, value: Any) -> Any:
        dimension = self.space[key]
        if dimension.kind != "choice":
            return value
        return next(i for i, corner in enumerate(dimension.corners) if _plain(corner) == _plain(value))

    def _distribution(self, key: str) -> Any:
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        dimension = self.space[key]
        if dimension.kind == "choice":
            return CategoricalDistribution(list(range(len(dimension.corners))))
        low, high = dimension.bounds
        log = dimension.kind.startswith("log")
        return (
            IntDistribution(int(low), int(high), log) if "int" in dimension.kind else FloatDistribution(low, high, log)
        )


def _plain(value: Any) -> Any:
    """A value as the log's JSON gives it back: tuples are lists there."""
    return list(value) if isinstance(value, tuple) else value
