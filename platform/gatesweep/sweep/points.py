"""`search.points`: configurations that a user wants tried first, held against the space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gatesweep.config.digest import seed_of
from gatesweep.config.dimension import Dimension
from gatesweep.config.loader import did_you_mean
from gatesweep.errors import ConfigError
from gatesweep.sweep.draws import draw
from gatesweep.sweep.space import active, ordered

Params = dict[str, Any]


def checked_points(
    space: Mapping[str, Dimension], points: Sequence[Params], seed: int, place: str
) -> tuple[Params, ...]:
    """Every point with a value of the right type for each dimension that is active in it.

    Args:
        seed: of the draws for the dimensions that a point leaves out.

    Raises:
        ConfigError: an unknown dimension, a value outside of it, or one for a dimension that is not active.
    """
    return tuple(_checked(space, point, seed, n, f"search.points[{n}]", place) for n, point in enumerate(points))


def _checked(space: Mapping[str, Dimension], point: Params, seed: int, n: int, where: str, place: str) -> Params:
    for key in point:
        if key not in space:
            raise ConfigError(f"{where}: '{key}' is no dimension", place=place, hint=did_you_mean(key, space))
    rng = np.random.default_rng(seed_of(seed, "point", n))
    params: Params = {}
    for key in ordered(space):
        drawn = draw(space[key], rng)
        if active(space, key, params):
            params[key] = value_in(space[key], point[key], f"{where}.{key}", place) if key in point else drawn
        elif key in point:
            needs = ", ".join(f"{other} = {value}" for other, value in (space[key].when or {}).items())
            raise ConfigError(f"{where}.{key}: is not active in this point", place=place, hint=f"it needs {needs}")
    return params


def value_in(dimension: Dimension, given: Any, where: str, place: str) -> Any:
    """The value as the space has it: a choice's own object, a number within the range.

    Raises:
        ConfigError: it is none of the choices, or outside of the range.
    """
    if dimension.kind == "choice":
        for corner in dimension.corners:
            if corner == given or str(corner) == str(given):
                return corner
        raise ConfigError(f"{where}: {given!r} is none of its choices", place=place,
                          hint=f"one of: {', '.join(map(str, dimension.corners))}")  # fmt: skip
    low, high = dimension.bounds
    try:
        value = float(given)
    except (TypeError, ValueError):
        raise ConfigError(f"{where}: {given!r} is no number", place=place) from None
    if not low <= value <= high or ("int" in dimension.kind and value != int(value)):
        kind = "a whole number" if "int" in dimension.kind else "a number"
        raise ConfigError(f"{where}: {given!r} is outside of its range", place=place,
                          hint=f"{kind} from {low} to {high}")  # fmt: skip
    return int(value) if "int" in dimension.kind else value
