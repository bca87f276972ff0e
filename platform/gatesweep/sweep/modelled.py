"""Searches that learn: Optuna's samplers, each made anew and seeded from (seed, n) before every proposal.

What Optuna knows is a study in memory, told of every proposal and every end in the log's order. Two kinds of sampler:

    asks nothing twice   TPE, GP: a function of the study's trials. A proposal of the log is put into a study as it is,
                         with what the sampler noted about it (`memory`).
    asked again          `evolving`: at each of the log's proposals as it was then

A proposal that is not admitted is a failed trial of the study, from which no sampler learns, and the sampler is asked
again with another seed; after some draws (`patience`) of its own the space's distribution is asked instead. TPE takes
fewer candidates each time: the most promising of many lies where nothing was tried, which is where nothing may be. GP,
whose best guess hardly depends on the seed, is told: of a trial with Optuna's constraint `admitted` above 0.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal

from gatesweep.config.digest import seed_of
from gatesweep.sweep.admission import DRAWS, MOST_DRAWS, REJECTED, Admits, everything, none_admitted
from gatesweep.sweep.independent import random_draw
from gatesweep.sweep.options import SearchConfig
from gatesweep.sweep.search import Known, Params, Space
from gatesweep.sweep.space import active, ordered

ADMITTED = "admitted"
"""Optuna's name for our constraints together: -1 where all hold, 1 where one does not."""


class Modelled(ABC):
    """A study and the sampler that proposes its next trial. A choice is known to it by its index."""

    admits: Admits = staticmethod(everything)
    patience = 20
    """Draws of the sampler's own that may be rejected for one proposal."""
    notes_of_known: Mapping[str, Any] = MappingProxyType({})
    """What the sampler would have noted on a trial of an earlier sweep."""

    def __init__(self, space: Space, config: SearchConfig, modes: Sequence[str]) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.space, self.config = space, config
        self.directions: list[Literal["minimize", "maximize"]] = [
            "minimize" if mode == "min" else "maximize" for mode in modes
        ]
        self.study = optuna.create_study(directions=self.directions)
        self.numbers: dict[int, int] = {}
        """Our number of a trial -> the study's."""

    def inform(self, known: Sequence[Known]) -> None:
        from optuna.trial import create_trial

        for each in known:
            self.study.add_trial(create_trial(
                values=list(each.values), params=self._coded(each.params), system_attrs=dict(self.notes_of_known),
                distributions=self._distributions(each.params), constraints=self._held()))  # fmt: skip

    def propose(self, number: int) -> tuple[Params, dict[str, Any]] | None:
        from optuna.trial import TrialState

        draws: list[Params] = []
        for k in range(self.patience):
            params = self._asked(number, k)
            if self.admits(params):
                return params, self._memory(number) | self._of_rejected(k, draws)
            self.study.tell(self.numbers[number], state=TrialState.FAIL)
            self._refuse(params)
            draws.append(params)
        for k in range(self.patience, MOST_DRAWS):
            params = random_draw(self.space, self.config.seed, number, k)
            if self.admits(params):
                self._take_over(number, params, {}, k)
                return params, self._of_rejected(k, draws)
        raise none_admitted(f"none of {MOST_DRAWS} draws for trial {number}")

    def adopt(self, number: int, params: Params, memory: dict[str, Any]) -> None:
        from optuna.trial import TrialState, create_trial

        rejected = memory.get(REJECTED, 0)
        for draw in memory.get(DRAWS) or [None] * min(rejected, self.patience):
            self.study.add_trial(create_trial(state=TrialState.FAIL))
            if draw is not None:
                self._refuse(draw)
        self._take_over(number, params, notes_of(memory), rejected)

    def _asked(self, number: int, k: int) -> Params:
        """Draw k of the sampler for proposal `number`."""
        self.study.sampler = self._quietly(number, k)
        trial = self.study.ask()
        for name, value in (self._held() or {}).items():
            trial.set_constraint(name, value)
        self.numbers[number] = trial.number
        params: Params = {}
        for key in ordered(self.space):
            if active(self.space, key, params):
                params[key] = self._suggest(trial, key)
        return params

    def _take_over(self, number: int, params: Params, notes: dict[str, Any], k: int) -> None:
        """Put a proposal into the study that it did not make, at least not in this process; it was draw k."""
        from optuna.trial import TrialState, create_trial

        self.numbers[number] = len(self.study.get_trials(deepcopy=False))
        self.study.add_trial(create_trial(
            state=TrialState.RUNNING, params=self._coded(params), system_attrs=notes,
            distributions=self._distributions(params), constraints=self._held()))  # fmt: skip

    def _refuse(self, params: Params) -> None:  # noqa: B027, most need not
        """Let the sampler learn that a draw of its own was not admitted, where it would learn from that."""

    def _held(self) -> dict[str, float] | None:
        """Optuna's constraint on a trial that was admitted, for such a sampler."""
        return None

    def _of_rejected(self, k: int, draws: list[Params]) -> dict[str, Any]:
        """What is remembered of the draws before the one that was taken."""
        return {REJECTED: k} if k else {}

    def observe(self, number: int, epoch: int, value: float) -> None:  # noqa: B027, some look at it, most need not
        """It learns from trials that are over."""

    def tell(self, number: int, values: Sequence[float] | None) -> None:
        from optuna.trial import TrialState

        if values is None:
            self.study.tell(self.numbers[number], state=TrialState.FAIL)
        else:
            self.study.tell(self.numbers[number], list(values))

    def reopen(self, number: int) -> None:
        """A study does not open an ended trial again: another study is told everything but that end."""
        import optuna
        from optuna.trial import TrialState, create_trial

        before = self.study.get_trials(deepcopy=False)
        self.study = optuna.create_study(directions=self.directions)
        for trial in before:
            over = trial.number != self.numbers[number] and trial.state.is_finished()
            self.study.add_trial(create_trial(
                state=trial.state if over else TrialState.RUNNING, params=trial.params, system_attrs=trial.system_attrs,
                distributions=trial.distributions, values=trial.values if over else None))  # fmt: skip

    @abstractmethod
    def _sampler(self, seed: int, k: int) -> Any:
        """Optuna's sampler, new, for draw k."""

    def _quietly(self, number: int, k: int = 0) -> Any:
        import optuna

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return self._sampler(seed_of(self.config.seed, self.config.name, number, *([k] if k else [])), k)

    def _startup(self, default: int = 6) -> int:
        return self.config.startup_trials or default

    def _memory(self, number: int) -> dict[str, Any]:
        notes = self.study.get_trials(deepcopy=False)[self.numbers[number]].system_attrs
        return {key: value for key, value in notes.items() if not key.startswith("constraints:")}

    def _suggest(self, trial: Any, key: str) -> Any:
        dimension = self.space[key]
        if dimension.kind == "choice":
            return dimension.corners[trial.suggest_categorical(key, list(range(len(dimension.corners))))]
        low, high = dimension.bounds
        if "int" in dimension.kind:
            return trial.suggest_int(key, int(low), int(high), log=dimension.kind.startswith("log"))
        return trial.suggest_float(key, low, high, log=dimension.kind.startswith("log"))

    def _coded(self, params: Params) -> Params:
        return {key: self._code(key, value) for key, value in params.items()}

    def _code(self, key: str, value: Any) -> Any:
        dimension = self.space[key]
        if dimension.kind != "choice":
            return value
        return next(i for i, corner in enumerate(dimension.corners) if _plain(corner) == _plain(value))

    def _distributions(self, params: Params) -> dict[str, Any]:
        return {key: self._distribution(key) for key in params}

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


class TPE(Modelled):
    """Optuna's multivariate tree-structured Parzen estimator (Bergstra et al., 2011; Watanabe, 2023).

    Running trials count as bad ones (constant liar), so that concurrent proposals spread.
    """

    def _sampler(self, seed: int, k: int) -> Any:
        import optuna

        return optuna.samplers.TPESampler(
            seed=seed, n_startup_trials=self._startup(), n_ei_candidates=max(1, (self.config.candidates or 24) >> k),
            multivariate=True, group=True, constant_liar=True)  # fmt: skip


class GaussianProcess(Modelled):
    """Optuna's Gaussian process: Matérn 5/2 with a length scale a dimension, log expected improvement (Ament et al.,
    2023), over running trials q-log expected improvement.

    It models the dimensions that are always there; conditional ones are drawn by a univariate TPE. The kernel is fitted
    from its priors every time: what a fit leaves for the next one would not survive a restart.
    """

    patience = 5  # a draw takes seconds
    refused = 0
    """Trials of the study that stand for draws which were not admitted."""

    def _held(self) -> dict[str, float] | None:
        return None if self.admits is everything else {ADMITTED: -1.0}

    def _of_rejected(self, k: int, draws: list[Params]) -> dict[str, Any]:
        return {REJECTED: k, DRAWS: draws} if k else {}

    def _refuse(self, params: Params) -> None:
        """It learns from values alone: this one's is the mean of what is known, so that it tells nothing else."""
        from optuna.trial import TrialState, create_trial

        there = self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        known = [trial.values for trial in there if trial.constraints.get(ADMITTED, -1.0) < 0]
        if known:
            self.refused += 1
            self.study.add_trial(create_trial(
                values=[sum(values) / len(known) for values in zip(*known, strict=True)], params=self._coded(params),
                distributions=self._distributions(params), constraints={ADMITTED: 1.0}))  # fmt: skip

    def _sampler(self, seed: int, k: int) -> Any:
        import optuna

        return optuna.samplers.GPSampler(
            seed=seed, n_startup_trials=self._startup() + self.refused,
            deterministic_objective=bool(self.config.deterministic),
            independent_sampler=beside(seed, self._startup()), warn_independent_sampling=False)  # fmt: skip


def beside(seed: int, startup_trials: int) -> Any:
    """What draws the dimensions that a sampler cannot model."""
    import optuna

    return optuna.samplers.TPESampler(seed=seed, n_startup_trials=startup_trials, constant_liar=True)


def notes_of(memory: dict[str, Any]) -> dict[str, Any]:
    """What of a proposal's memory is the sampler's own."""
    return {key: value for key, value in memory.items() if key not in (REJECTED, DRAWS)}


def _plain(value: Any) -> Any:
    """A value as the log's JSON gives it back: tuples are lists there."""
    return list(value) if isinstance(value, tuple) else value
