"""What a sweep's file says of the search, the schedule and the budget: one section each, every option explained.

An option belongs to some searches or schedules only (`USED_BY`). One that is set where it does nothing is refused
before a sweep starts (`checks`); its default is what "not set" looks like.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from gatesweep.config.section import Section

SearchName = Literal["tpe", "random", "grid", "qmc", "gp", "cmaes"]
SchedulerName = Literal["asha", "hyperband", "median", "none"]


class Objective(Section):
    """What to make small or large."""

    metric: str
    """A metric that the task reports each epoch, e.g. val/mae."""

    mode: Literal["min", "max"] = "min"
    """Whether less or more of it is better."""


class SearchConfig(Section):
    """Who proposes the next configuration. docs/search.md says when to use which."""

    name: SearchName = "tpe"
    """tpe: Optuna's multivariate TPE; random; grid: every combination of choices, in order; qmc: quasi-random, evenly
    spread; gp: Optuna's Gaussian process; cmaes: CMA-ES (Hansen & Ostermeier, 2001)."""

    seed: int = Field(1, ge=0, lt=2**32)
    """Proposal n is a function of this seed, n, and the results it had seen."""

    startup_trials: PositiveInt | None = None
    """tpe, gp, cmaes: random proposals before the model starts; by default 6, for cmaes 1."""

    candidates: PositiveInt | None = None
    """tpe: points drawn from the good ones' density for each proposal, of which the most promising is taken; by
    default 24."""

    learn_from: Literal["best", "rung"] | None = None
    """tpe: what is told of a trial. best (the default): its best epoch, once it is over. rung, with a schedule that has
    rungs: its best epoch up to the highest rung that enough trials have reached, as soon as it is there itself, so that
    trials are compared after the same training; with `scheduler: {name: hyperband}` this is BOHB (Falkner et al.,
    2018)."""

    sequence: Literal["sobol", "halton"] | None = None
    """qmc: which low-discrepancy sequence; by default sobol, scrambled by the seed (Owen, 1998)."""

    deterministic: bool | None = None
    """gp: whether the same configuration would always score the same, so that no noise is fitted; by default false."""

    population: Annotated[int, Field(ge=4)] | None = None
    """cmaes: trials a generation; by default 4 + ⌊3 ln d⌋ in d dimensions."""

    separable: bool | None = None
    """cmaes: learn a scale per dimension and no correlations (Ros & Hansen, 2008), for many dimensions and few trials;
    by default false."""


class SchedulerConfig(Section):
    """Who stops the trials that promise little. docs/search.md says when to use which."""

    name: SchedulerName = "asha"
    """asha: asynchronous successive halving (Li et al., 2020); hyperband: several of these side by side, from hasty to
    patient; median: stops what is worse than the median of the others' running means (Golovin et al., 2017); none:
    every trial trains to the end."""

    grace_epochs: PositiveInt = 2
    """asha, hyperband, median: epochs that every trial gets."""

    reduction: Annotated[int, Field(ge=2)] = 3
    """asha, hyperband: at each rung about one in this many goes on."""

    brackets: PositiveInt | None = None
    """hyperband: how many halvings run side by side. The first begins to stop at `grace_epochs`, each further one
    `reduction` times later; by default as many as `max_epochs` has room for."""

    min_trials: PositiveInt | None = None
    """median: other trials that must have come as far before one is stopped; by default 3."""

    def milestones(self, max_epochs: int) -> list[int]:
        """The rungs of asha and hyperband: grace_epochs · reduction^k, up to `max_epochs`."""
        rungs, epoch = [], self.grace_epochs
        while epoch <= max_epochs:
            rungs.append(epoch)
            epoch *= self.reduction
        return rungs


class Budget(Section):
    """How much to try."""

    trials: PositiveInt = 12
    """How many configurations."""

    concurrent: PositiveInt = 2
    """How many of them at a time."""


USED_BY: Mapping[str, Mapping[str, Sequence[str]]] = {
    "search": {
        "startup_trials": ("tpe", "gp", "cmaes"),
        "candidates": ("tpe",),
        "learn_from": ("tpe",),
        "sequence": ("qmc",),
        "deterministic": ("gp",),
        "population": ("cmaes",),
        "separable": ("cmaes",),
    },
    "scheduler": {
        "grace_epochs": ("asha", "hyperband", "median"),
        "reduction": ("asha", "hyperband"),
        "brackets": ("hyperband",),
        "min_trials": ("median",),
    },
}
"""Section -> option -> the names for which it does something. What is not here is for all."""
