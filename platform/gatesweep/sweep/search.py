"""Who proposes the next configuration: one interface before every search.

No searcher keeps state of its own that a restart could lose: proposal n is a function of the sweep's seed, of n, and of
the trials it has been told about, and those are in the sweep's log. `independent` holds the searches that need no
results, `modelled` and `evolving` those that learn from them. What violates the sweep's constraints is drawn again
(`admission`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from gatesweep.config.dimension import Dimension
from gatesweep.sweep.admission import Admission, Admits
from gatesweep.sweep.spec import SweepSpec

if TYPE_CHECKING:
    from gatesweep.tasks.base import Task

Params = dict[str, Any]
Space = Mapping[str, Dimension]


@dataclass(frozen=True)
class Known:
    """An ended trial of an earlier sweep (`warm_start`)."""

    params: Params
    values: tuple[float, ...]
    """The objectives at its best epoch."""
    curve: tuple[float, ...]
    """The first objective of each epoch."""


def known_of(first: Mapping[str, Any]) -> list[Known]:
    """What the first record of a log says that the search was told before its first proposal."""
    told = first.get("warm_start", ())
    return [Known(each["params"], tuple(each["values"]), tuple(each["curve"])) for each in told]


class Searcher(Protocol):
    """Proposes configurations and learns from what became of them."""

    admits: Admits
    """Whether a configuration may be tried."""

    def inform(self, known: Sequence[Known]) -> None:
        """What earlier sweeps found; before the first proposal."""

    def propose(self, number: int) -> tuple[Params, dict[str, Any]] | None:
        """The parameters of trial `number` and what the searcher wants remembered of them; None: no more to try.

        Raises:
            ConfigError: nothing was found that is admitted.
        """

    def adopt(self, number: int, params: Params, memory: dict[str, Any]) -> None:
        """Take over a proposal from the log as if it had just been made."""

    def observe(self, number: int, epoch: int, value: float) -> None:
        """Trial `number` has this (first) objective after `epoch`."""

    def tell(self, number: int, values: Sequence[float] | None) -> None:
        """Trial `number` is over with these objectives at its best epoch; None: it failed."""

    def reopen(self, number: int) -> None:
        """Trial `number` is not over after all: it is tried again."""


def searcher(spec: SweepSpec, task: Task | None = None) -> Searcher:
    """The searcher that the spec names, guided by what else it says of the search.

    Args:
        task: of the experiment, if it has been built: constraints may ask how large a model is.
    """
    from gatesweep.sweep.guided import Guided

    search = _named(spec)
    if spec.constraints:
        search.admits = Admission(spec, task).admits
    return Guided(search, spec.search.points) if spec.search.points else search


def _named(spec: SweepSpec) -> Searcher:
    from gatesweep.sweep import evolving, independent, modelled
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
            return evolving.CMAES(space, config, modes)
        case "nsga2":
            return evolving.NSGA2(space, config, modes)
