"""Which proposals may be tried: those that satisfy the sweep's constraints. The rest is drawn again, and never trained.

    draw k of proposal n     seeded from (seed, n, k); k = 0 is the one that a sweep without constraints makes
    rejected                 k, the draws before the one that was taken, stands in the proposal's memory in the log
    draws                    and what these were, where the search learns from them
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from gatesweep.config.digest import seed_of
from gatesweep.errors import ConfigError
from gatesweep.runs.size import Sizes
from gatesweep.sweep.constraints import checked_constraints, values_of
from gatesweep.sweep.draws import draw
from gatesweep.sweep.space import filled

if TYPE_CHECKING:
    from gatesweep.sweep.spec import SweepSpec
    from gatesweep.tasks.base import Task

Admits = Callable[[Mapping[str, Any]], bool]
MOST_DRAWS = 1000
REJECTED = "rejected"
"""In a proposal's memory: how many draws were rejected before it."""
DRAWS = "draws"
"""In a proposal's memory: the rejected draws that the search was told of."""


def everything(params: Mapping[str, Any]) -> bool:
    """Of a sweep without constraints."""
    return True


class Admission:
    """Judges configurations. Data are loaded when a model is first counted, and not where no constraint asks for it."""

    def __init__(self, spec: SweepSpec, task: Task | None = None) -> None:
        self.spec = spec
        self.constraints = checked_constraints(spec.constraints, spec.space, spec.experiment, spec.name)
        self.sizes = Sizes(spec.experiment, task)

    def admits(self, params: Mapping[str, Any]) -> bool:
        """Whether it satisfies them all."""
        return self.violated(params) is None

    def violated(self, params: Mapping[str, Any]) -> str | None:
        """The first constraint that it does not satisfy, and the numbers in it; none where it satisfies them all."""
        values = values_of(self.constraints, params, self.spec.experiment,
                           lambda: self.sizes.parameters(self.spec.trial_config(params, 0)))  # fmt: skip
        for each in self.constraints:
            if not each.holds(values):
                numbers = ", ".join(f"{name} = {values[name][0]:.12g}" for name in each.names)
                return f"{each.text} ({numbers})"
        return None

    def must_be_possible(self) -> list[str]:
        """Refuse constraints that leave nothing to try, and points of the user's that violate one; what to say else.

        Raises:
            ConfigError: with what was found instead.
        """
        if not self.constraints:
            return []
        for n, point in enumerate(self.spec.search.points or ()):
            violated = self.violated(point)
            if violated:
                raise ConfigError(f"search.points[{n}]: violates {violated}", place=self.spec.name)
        if self.spec.search.name == "grid":
            return [self._of_grid()]
        violated = ""
        for k in range(MOST_DRAWS):
            violated = self.violated(at_random(self.spec, k)) or ""
            if not violated:
                return []
        raise none_admitted(f"none of {MOST_DRAWS} random configurations", violated, self.spec.name)

    def _of_grid(self) -> str:
        from gatesweep.sweep.independent import combinations

        found = combinations(self.spec.space)
        violated = [said for said in map(self.violated, found) if said]
        if len(violated) == len(found):
            raise none_admitted(f"none of the grid's {len(found)} combinations", violated[-1], self.spec.name)
        return f"constraints: {len(violated)} of the grid's {len(found)} combinations are left out"


def at_random(spec: SweepSpec, k: int) -> dict[str, Any]:
    """The k-th random configuration that constraints are tried on."""
    rng = np.random.default_rng(seed_of(spec.search.seed, "constraints", k))
    return filled(spec.space, lambda key: draw(spec.space[key], rng))


def none_admitted(what: str, violated: str = "", place: str | None = None) -> ConfigError:
    """Nothing is left to try."""
    more = f"; the last one violates {violated}" if violated else ""
    return ConfigError(f"constraints: {what} satisfies them{more}", place=place,
                       hint="loosen a constraint, or draw the space's bounds towards what satisfies it")
