"""Searches whose samplers keep notes on the study's trials: CMA-ES and NSGA-II, Optuna's.

CMA-ES keeps its covariance there, NSGA-II its generations and parents. Some of these notes would be pickles, so they
stay out of the log: the sampler is asked at every proposal of the log as it was then, which writes its notes anew, and
the proposal itself is taken from the log.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import Any

from gatesweep.sweep.modelled import Modelled, beside
from gatesweep.sweep.search import Known, Params


class AskedAgain(Modelled):
    """A sampler that keeps notes on the study: asked at each of the log's proposals as it was then."""

    def _memory(self, number: int) -> dict[str, Any]:
        return {}

    def _take_over(self, number: int, params: Params, notes: dict[str, Any], k: int) -> None:
        self.study.enqueue_trial(self._coded(params))
        self.study.sampler = self._quietly(number, k)
        trial = self.study.ask()
        self.numbers[number] = trial.number
        assert trial.relative_params is not None, "asked for the notes that it leaves"
        for key in params:
            self._suggest(trial, key)


class CMAES(AskedAgain):
    """Covariance matrix adaptation (Hansen & Ostermeier, 2001) by the package `cmaes`, through Optuna.

    It moves a normal distribution over the ranges that are always there; choices and conditional dimensions, of which
    it knows nothing, are drawn by a univariate TPE. What earlier sweeps found is where the distribution begins
    (warm-starting CMA-ES; Nomura et al., 2021).
    """

    sources: list[Any] | None = None

    def inform(self, known: Sequence[Known]) -> None:
        from optuna.trial import create_trial

        super().inform(known)
        modelled = {key: self._distribution(key) for key, each in self.space.items()
                    if each.kind != "choice" and not each.when}  # fmt: skip
        self.sources = [create_trial(value=each.values[0], params={key: each.params[key] for key in modelled},
                                     distributions=modelled) for each in known] or None  # fmt: skip

    def _sampler(self, seed: int, k: int) -> Any:
        import optuna

        return optuna.samplers.CmaEsSampler(
            seed=seed, n_startup_trials=self._startup(1), popsize=self.config.population,
            use_separable_cma=bool(self.config.separable), independent_sampler=beside(seed, self._startup(6)),
            warn_independent_sampling=False, source_trials=self.sources)  # fmt: skip


class NSGA2(AskedAgain):
    """Non-dominated sorting genetic algorithm II (Deb et al., 2002), Optuna's: children of the parents that fewest
    others dominate, and among equals of those that stand alone. Conditional dimensions are drawn at random. What
    earlier sweeps found is the first generation.
    """

    notes_of_known = MappingProxyType({"NSGAIISampler:generation": 0})

    def _sampler(self, seed: int, k: int) -> Any:
        import optuna

        crossover = 0.9 if self.config.crossover is None else self.config.crossover
        return optuna.samplers.NSGAIISampler(
            seed=seed, population_size=self.config.population or 16, crossover_prob=crossover,
            mutation_prob=self.config.mutation)  # fmt: skip
