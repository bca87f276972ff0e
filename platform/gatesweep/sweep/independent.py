"""Searches whose proposals depend on no result: random, grid and quasi-random."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from gatesweep.config.digest import seed_of
from gatesweep.sweep.admission import MOST_DRAWS, REJECTED, Admits, everything, none_admitted
from gatesweep.sweep.draws import at_unit, draw
from gatesweep.sweep.options import SearchConfig
from gatesweep.sweep.search import Known, Params, Space
from gatesweep.sweep.space import filled, ordered


class Independent:
    """Hears of results and learns nothing from them."""

    admits: Admits = staticmethod(everything)

    def inform(self, known: Sequence[Known]) -> None:
        """Nothing to learn."""

    def adopt(self, number: int, params: Params, memory: dict[str, Any]) -> None:
        """Nothing to remember."""

    def observe(self, number: int, epoch: int, value: float) -> None:
        """Nothing to learn."""

    def tell(self, number: int, values: Sequence[float] | None) -> None:
        """Nothing to learn."""

    def reopen(self, number: int) -> None:
        """Nothing to unlearn."""


class Random(Independent):
    """Every proposal drawn by itself: `numpy.random.default_rng` seeded from (seed, n)."""

    def __init__(self, space: Space, config: SearchConfig) -> None:
        self.space, self.config = space, config

    def propose(self, number: int) -> tuple[Params, dict[str, Any]] | None:
        for k in range(MOST_DRAWS):
            params = random_draw(self.space, self.config.seed, number, k)
            if self.admits(params):
                return params, {REJECTED: k} if k else {}
        raise none_admitted(f"none of {MOST_DRAWS} draws for trial {number}")


class Grid(Independent):
    """Every combination of choices, the last dimension fastest; those that are not admitted are left out."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self._points: list[Params] | None = None

    @property
    def points(self) -> list[Params]:
        """What is proposed, in order."""
        if self._points is None:
            self._points = [params for params in combinations(self.space) if self.admits(params)]
        return self._points

    def propose(self, number: int) -> tuple[Params, dict[str, Any]] | None:
        return (self.points[number], {}) if number < len(self.points) else None


class Quasi(Independent):
    """Point n of a scrambled low-discrepancy sequence in [0, 1)^d (Sobol', 1967; Halton, 1960; Owen, 1998), scipy's.

    It covers every projection of the space more evenly than random points do. Each dimension has a coordinate of its
    own whether it is active or not: where it is not, the coordinate is passed over. So is a point that is not admitted.
    """

    def __init__(self, space: Space, config: SearchConfig) -> None:
        self.space, self.config, self.passed = space, config, 0

    def adopt(self, number: int, params: Params, memory: dict[str, Any]) -> None:
        self.passed += memory.get(REJECTED, 0)

    def propose(self, number: int) -> tuple[Params, dict[str, Any]] | None:
        from scipy.stats import qmc

        keys = ordered(self.space)
        kind = qmc.Halton if self.config.sequence == "halton" else qmc.Sobol
        sequence = kind(len(keys), scramble=True, rng=np.random.default_rng(seed_of(self.config.seed, "qmc")))
        if number + self.passed:  # scipy takes no 0
            sequence.fast_forward(number + self.passed)
        for k in range(MOST_DRAWS):
            unit = dict(zip(keys, sequence.random(1)[0].tolist(), strict=True))
            params = filled(self.space, lambda key, unit=unit: at_unit(self.space[key], unit[key]))  # type: ignore[misc]
            if self.admits(params):
                self.passed += k
                return params, {REJECTED: k} if k else {}
        raise none_admitted(f"none of {MOST_DRAWS} points of the sequence for trial {number}")


def combinations(space: Space) -> list[Params]:
    """Every combination of choices; an inactive dimension adds none."""
    found: list[Params] = []
    keys = ordered(space)
    for values in itertools.product(*(space[key].corners for key in keys)):
        params = filled(space, dict(zip(keys, values, strict=True)).__getitem__)
        if params not in found:
            found.append(params)
    return found


def random_draw(space: Space, seed: int, number: int, k: int = 0) -> Params:
    """Draw k of proposal `number`, from the space's own distribution."""
    rng = np.random.default_rng(seed_of(seed, "random", number, *([k] if k else [])))
    return filled(space, lambda key: draw(space[key], rng))
