"""What a sweep's file says of the search, the schedule and the budget: one section each, every option explained.

An option belongs to some searches or schedules only (`USED_BY`). One that is set where it does nothing is refused
before a sweep starts (`idle`); its default is what "not set" looks like.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from gatesweep.config.section import Section

SearchName = Literal["tpe", "random", "grid", "qmc", "gp", "cmaes"]
SchedulerName = Literal["asha", "none"]


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
    """asha: asynchronous successive halving (Li et al., 2018); none: every trial trains to the end."""

    grace_epochs: PositiveInt = 2
    """asha: epochs that every trial gets."""

    reduction: Annotated[int, Field(ge=2)] = 3
    """asha: at each rung about one in this many goes on."""


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
        "sequence": ("qmc",),
        "deterministic": ("gp",),
        "population": ("cmaes",),
        "separable": ("cmaes",),
    },
    "scheduler": {"grace_epochs": ("asha",), "reduction": ("asha",)},
}
"""Section -> option -> the names for which it does something. What is not here is for all."""


def idle(section: Literal["search", "scheduler"], config: SearchConfig | SchedulerConfig) -> tuple[str, str] | None:
    """The first option that is set and does nothing: what to say of it, and a hint."""
    for option, names in USED_BY[section].items():
        value, default = getattr(config, option), type(config).model_fields[option].default
        if value != default and config.name not in names:
            shown = "none" if default is None else default
            return (
                f"{section}.{option}: {value!r} does nothing with `{section}.name: {config.name}`",
                f"leave it out (or --set {section}.{option}={shown}); it is for {', '.join(names)}",
            )
    return None
