"""One value of one dimension: drawn at random, or at a quantile."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gatesweep.config.dimension import Dimension


def at_unit(dimension: Dimension, unit: float) -> Any:
    """The value that lies at `unit` in [0, 1) of a dimension: its quantile function."""
    if dimension.kind == "choice":
        return dimension.corners[int(unit * len(dimension.corners))]
    low, high = dimension.bounds
    match dimension.kind:
        case "uniform":
            return low + unit * (high - low)
        case "log_uniform":
            return math.exp(math.log(low) + unit * math.log(high / low))
        case "int_uniform":
            return int(low) + int(unit * (high - low + 1))
        case _:
            drawn = math.exp(math.log(low - 0.5) + unit * math.log((high + 0.5) / (low - 0.5)))
            return int(min(max(round(drawn), low), high))


def draw(dimension: Dimension, rng: np.random.Generator) -> Any:
    """A value with the dimension's own distribution."""
    if dimension.kind == "choice":
        return dimension.corners[int(rng.integers(len(dimension.corners)))]
    low, high = dimension.bounds
    match dimension.kind:
        case "uniform":
            return float(rng.uniform(low, high))
        case "log_uniform":
            return float(math.exp(rng.uniform(math.log(low), math.log(high))))
        case "int_uniform":
            return int(rng.integers(int(low), int(high) + 1))
        case _:
            drawn = math.exp(rng.uniform(math.log(low - 0.5), math.log(high + 0.5)))
            return int(min(max(round(drawn), low), high))
