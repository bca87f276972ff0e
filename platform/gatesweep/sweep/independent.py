"""Searches whose proposals depend on no result: random, grid and quasi-random."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gatesweep.config.digest import seed_of
from gatesweep.sweep.draws import at_unit, draw
from gatesweep.sweep.options import SearchConfig
from gatesweep.sweep.search import Params, Space
from gatesweep.sweep.space import active, ordered


class Independent:
    """Hears of results and learns nothing from them."""

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
        rng = np.random.default_rng(seed_of(self.config.seed, "random", number))
        return _filled(self.space, lambda key: draw(self.space[key], rng)), {}


class Grid(Independent):
    """Every combination of choices, the last dimension fastest; an inactive dimension adds no combinations."""

    def __init__(self, space: Space) -> None:
        self.points: list[Params] = []
        keys = ordered(space)
        for values in itertools.product(*(space[key].corners for key in keys)):
            params = _filled(space, dict(zip(keys, values, strict=True)).__getitem__)
            if params not in self.points:
                self.points.append(params)

    def propose(self, number: int) -> tuple[Params, dict[str, Any]] | None:
        return (self.points[number], {}) if number < len(self.points) else None


class Quasi(Independent):
    """Point n of a scrambled low-discrepancy sequence in [0, 1)^d (Sobol', 1967; Halton, 1960; Owen, 1998), scipy's.

    It covers every projection of the space more evenly than random points do. Each dimension has a coordinate of its
    own whether it is active or not: where it is not, the coordinate is passed over.
    """

    def __init__(self, space: Space, config: SearchConfig) -> None:
        self.space, self.config = space, config

    def propose(self, number: int) -> tuple[Params, dict[str, Any]] | None:
        from scipy.stats import qmc

        keys = ordered(self.space)
        kind = qmc.Halton if self.config.sequence == "halton" else qmc.Sobol
        sequence = kind(len(keys), scramble=True, rng=np.random.default_rng(seed_of(self.config.seed, "qmc")))
        if number:  # scipy takes no 0
            sequence.fast_forward(number)
        unit = dict(zip(keys, sequence.random(1)[0].tolist(), strict=True))
        return _filled(self.space, lambda key: at_unit(self.space[key], unit[key])), {}


def _filled(space: Space, value: Callable[[str], Any]) -> Params:
    """A value for every dimension, those left out that are not active."""
    params: Params = {}
    for key in ordered(space):
        drawn = value(key)
        if active(space, key, params):
            params[key] = drawn
    return params
