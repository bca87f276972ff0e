"""Who proposes the next configuration: one interface before every search.

No searcher keeps state of its own that a restart could lose: proposal n is a function of the sweep's seed, of n, and of
the trials it has been told about, and those are in the sweep's log. `independent` holds the searches that need no
results, `modelled` those that learn from them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from gatesweep.config.dimension import Dimension
from gatesweep.sweep.spec import SweepSpec

Params = dict[str, Any]
Space = Mapping[str, Dimension]


class Searcher(Protocol):
    """Proposes configurations and learns from what became of them."""

    def propose(self, number: int) -> tuple[Params, dict[str, Any]] | None:
        """The parameters of trial `number` and what the searcher wants remembered of them; None: no more to try."""

    def adopt(self, number: int, params: Params, memory: dict[str, Any]) -> None:
        """Take over a proposal from the log as if it had just been made."""

    def observe(self, number: int, epoch: int, value: float) -> None:
        """Trial `number` has this (first) objective after `epoch`."""

    def tell(self, number: int, values: Sequence[float] | None) -> None:
        """Trial `number` is over with these objectives at its best epoch; None: it failed."""

    def reopen(self, number: int) -> None:
        """Trial `number` is not over after all: it is tried again."""


def searcher(spec: SweepSpec) -> Searcher:
    """The searcher that the spec names, guided by what else it says of the search."""
    from gatesweep.sweep.guided import Guided

    search = _named(spec)
    return Guided(search, spec.search.points) if spec.search.points else search


def _named(spec: SweepSpec) -> Searcher:
    from gatesweep.sweep import independent, modelled
    from gatesweep.sweep.rungs import RungTPE

    space, config, modes = spec.space, spec.search, [goal.mode for goal in spec.goals]
    match config.name:
        case "random":
            return independent.Random(space, config)
        case "grid":
            return independent.Grid(space)
        case "qmc":
            return independent.Quasi(space, config)
        case "tpe" if config.learn_from == "rung":
            rungs = spec.scheduler.milestones(spec.experiment.trainer.max_epochs)
            return RungTPE(space, config, modes, [*rungs, spec.experiment.trainer.max_epochs])
        case "tpe":
            return modelled.TPE(space, config, modes)
        case "gp":
            return modelled.GaussianProcess(space, config, modes)
        case "cmaes":
            return modelled.CMAES(space, config, modes)
        case "nsga2":
            return modelled.NSGA2(space, config, modes)
