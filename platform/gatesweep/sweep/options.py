"""What a sweep's file says of the search, the schedule and the budget: one section each, every option explained.

An option belongs to some searches or schedules only (`USED_BY`). One that is set where it does nothing is refused
before a sweep starts (`checks`); its default is what "not set" looks like.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, NonNegativeFloat, PositiveFloat, PositiveInt, Tag, model_validator

from gatesweep.config.section import Section

SearchName = Literal["tpe", "random", "grid", "qmc", "gp", "cmaes", "nsga2"]
SchedulerName = Literal["asha", "hyperband", "median", "none", "pbt", "pb2"]


class Objective(Section):
    """What to make small or large."""

    metric: str
    """A metric that the task reports each epoch, e.g. val/mae."""

    mode: Literal["min", "max"] = "min"
    """Whether less or more of it is better."""


Objectives = Annotated[
    Annotated[Objective, Tag("tagged-one")]
    | Annotated[tuple[Objective, ...], Field(min_length=1), Tag("tagged-several")],
    Discriminator(lambda given: "tagged-several" if isinstance(given, list | tuple) else "tagged-one"),
]
"""One objective, or a list of them."""


class SearchConfig(Section):
    """Who proposes the next configuration. docs/search.md says when to use which."""

    name: SearchName = "tpe"
    """tpe: Optuna's multivariate TPE; random; grid: every combination of choices, in order; qmc: quasi-random, evenly
    spread; gp: Optuna's Gaussian process; cmaes: CMA-ES (Hansen & Ostermeier, 2001); nsga2: NSGA-II (Deb et al.,
    2002). Several objectives are for nsga2, tpe, gp and those that need no results."""

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
    """cmaes, nsga2: trials a generation; by default 4 + ⌊3 ln d⌋ in d dimensions, for nsga2 16."""

    crossover: Annotated[float, Field(ge=0.0, le=1.0)] | None = None
    """nsga2: how likely a trial mixes the values of two parents instead of taking one's; by default 0.9."""

    mutation: Annotated[float, Field(ge=0.0, le=1.0)] | None = None
    """nsga2: how likely each value is drawn anew; by default one of the d values, 1/d."""

    separable: bool | None = None
    """cmaes: learn a scale per dimension and no correlations (Ros & Hansen, 2008), for many dimensions and few trials;
    by default false."""

    points: tuple[dict[str, Any], ...] | None = None
    """All but grid: configurations to try first, each a value for dimensions of the space; what one leaves out is drawn
    at random."""

    warm_start: tuple[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")], ...] | None = None
    """tpe, gp, cmaes, nsga2: ids of earlier sweeps of the same task and objective, of which the search is told, before
    its first proposal, every ended trial that lies within the space."""


class SchedulerConfig(Section):
    """Who stops the trials that promise little. docs/search.md says when to use which."""

    name: SchedulerName = "asha"
    """asha: asynchronous successive halving (Li et al., 2020); hyperband: several of these side by side, from hasty to
    patient; median: stops what is worse than the median of the others' running means (Golovin et al., 2017); none:
    every trial trains to the end. pbt, pb2: nobody stops; now and then the worst trials take over the weights of the
    best, and their values changed: at random (Jaderberg et al., 2017), or as a Gaussian process says (Parker-Holder et
    al., 2020)."""

    grace_epochs: PositiveInt = 2
    """asha, hyperband, median: epochs that every trial gets."""

    reduction: Annotated[int, Field(ge=2)] = 3
    """asha, hyperband: at each rung about one in this many goes on."""

    brackets: PositiveInt | None = None
    """hyperband: how many halvings run side by side. The first begins to stop at `grace_epochs`, each further one
    `reduction` times later; by default as many as `max_epochs` has room for."""

    min_trials: PositiveInt | None = None
    """median: other trials that must have come as far before one is stopped; by default 3."""

    interval_epochs: PositiveInt = 2
    """pbt, pb2: after so many epochs, and again so many, all trials wait for each other and the worst copy the best."""

    quantile: Annotated[float, Field(gt=0.0, le=0.5)] = 0.25
    """pbt, pb2: the share of the trials that copies, and that is copied; rounded up, half of them at most."""

    resample: Annotated[float, Field(ge=0.0, le=1.0)] = 0.25
    """pbt, and pb2's choices: how likely a value is drawn anew from its dimension instead of changed a little."""

    factors: tuple[PositiveFloat, PositiveFloat] = (0.8, 1.25)
    """pbt: a number that is changed a little is multiplied by one of these and kept within its range; a choice moves
    to its neighbour."""

    mutate: tuple[str, ...] | None = None
    """pbt, pb2: the dimensions whose values may change on the way; by default every one that leaves the shapes of the
    weights alone. The others stay with their trial, and trials copy only those that have the same values of them."""

    def milestones(self, max_epochs: int) -> list[int]:
        """The rungs of asha and hyperband: grace_epochs · reduction^k, up to `max_epochs`."""
        rungs, epoch = [], self.grace_epochs
        while epoch <= max_epochs:
            rungs.append(epoch)
            epoch *= self.reduction
        return rungs


class Resources(Section):
    """What one worker of one trial gets, and how many workers train a trial together; see docs/distributed.md."""

    cpus: PositiveInt = 1
    """CPU cores, and torch threads, per worker."""

    gpus: NonNegativeFloat = 0.0
    """GPUs per worker; a share such as 0.25 packs trials onto one."""

    workers: PositiveInt | tuple[PositiveInt, PositiveInt] = 1
    """Workers per trial, which share out every batch; `[2, 8]`: as many between the two as are free when an attempt
    starts."""

    accelerator: Annotated[str, Field(min_length=1)] | None = None
    """A kind of GPU by Ray's name for it, e.g. A100; none takes any."""

    labels: dict[str, str] = {}
    """Labels that a worker's node must have: a value, or `!value`, `in(a,b)`, `!in(a,b)`."""

    @model_validator(mode="after")
    def _makes_sense(self) -> Resources:
        if self.gpus > 1 and not self.gpus.is_integer():
            raise ValueError(f"gpus: {self.gpus:g} is more than one GPU and no whole number\n\nhint: 0.5, 1 or 2")
        if self.accelerator and not self.gpus:
            raise ValueError(f"accelerator: {self.accelerator} does nothing without GPUs\n\nhint: set gpus above 0")
        if self.least_workers > self.most_workers:
            raise ValueError(f"workers: at least {self.least_workers} and at most {self.most_workers}: turn them round")
        return self

    @property
    def least_workers(self) -> int:
        """With fewer an attempt does not start."""
        return self.workers if isinstance(self.workers, int) else self.workers[0]

    @property
    def most_workers(self) -> int:
        """With more none starts."""
        return self.workers if isinstance(self.workers, int) else self.workers[1]


class Budget(Section):
    """How much to try. Whatever is used up first ends the sweep: nothing new starts, running trials stop at their next
    epoch and stay resumable, the best one is tested and reported. `resume --set budget.…` goes on with more."""

    trials: PositiveInt = 12
    """How many configurations."""

    concurrent: PositiveInt = 2
    """How many of them at a time."""

    wall_time: Annotated[str, Field(pattern=r"^\d+(\.\d+)?[smhd]$")] | None = None
    """Time with its unit, s, m, h or d: 90m, 2.5h. Rests between a stop and a resume do not count."""

    cpu_hours: PositiveFloat | None = None
    """Hours of all attempts together, times the cores of a trial."""

    gpu_hours: PositiveFloat | None = None
    """Hours of all attempts together, times the GPUs of a trial."""

    target: float | None = None
    """A value of the objective that is good enough, of any epoch of any trial."""

    no_improvement: PositiveInt | None = None
    """Trials that end, without failing, one after the other and none better than the best before."""

    @property
    def limited(self) -> bool:
        """Whether more than the number of trials ends the sweep."""
        limits = (self.wall_time, self.cpu_hours, self.gpu_hours, self.target, self.no_improvement)
        return any(limit is not None for limit in limits)

    @property
    def wall_ms(self) -> float:
        """`wall_time` in milliseconds; endless where there is none."""
        if self.wall_time is None:
            return math.inf
        return float(self.wall_time[:-1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[self.wall_time[-1]] * 1000


USED_BY: Mapping[str, Mapping[str, Sequence[str]]] = {
    "search": {
        "startup_trials": ("tpe", "gp", "cmaes"),
        "candidates": ("tpe",),
        "learn_from": ("tpe",),
        "points": ("tpe", "random", "qmc", "gp", "cmaes", "nsga2"),
        "warm_start": ("tpe", "gp", "cmaes", "nsga2"),
        "sequence": ("qmc",),
        "deterministic": ("gp",),
        "population": ("cmaes", "nsga2"),
        "crossover": ("nsga2",),
        "mutation": ("nsga2",),
        "separable": ("cmaes",),
    },
    "scheduler": {
        "grace_epochs": ("asha", "hyperband", "median"),
        "reduction": ("asha", "hyperband"),
        "brackets": ("hyperband",),
        "min_trials": ("median",),
        "interval_epochs": ("pbt", "pb2"),
        "quantile": ("pbt", "pb2"),
        "resample": ("pbt", "pb2"),
        "factors": ("pbt",),
        "mutate": ("pbt", "pb2"),
    },
}
"""Section -> option -> the names for which it does something. What is not here is for all."""
