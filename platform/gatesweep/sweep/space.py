"""The search space: conditions in order, keys that exist, and every corner of it tried on the experiment."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gatesweep.config.dimension import Dimension
from gatesweep.config.loader import did_you_mean, put
from gatesweep.config.sections import paths, value_at
from gatesweep.errors import ConfigError
from gatesweep.runs.experiment import ExperimentConfig, experiment_from

SET_BY_THE_SWEEP = {
    "trainer.monitor": "objective.metric says what is monitored",
    "trainer.mode": "objective.mode says what is better",
    "trainer.threads": "resources.cpus says how many threads a trial has",
}


def ordered(space: Mapping[str, Dimension]) -> list[str]:
    """The dimensions, each after those that its condition names.

    Raises:
        ValueError: conditions that wait for each other.
    """
    done: list[str] = []
    while len(done) < len(space):
        ready = [key for key in space if key not in done and set(space[key].when or {}) <= set(done)]
        if not ready:
            stuck = ", ".join(f"'{key}'" for key in space if key not in done)
            raise ValueError(f"space: the conditions of {stuck} wait for each other")
        done.append(ready[0])
    return done


def active(space: Mapping[str, Dimension], key: str, params: Mapping[str, Any]) -> bool:
    """Whether the dimension is there, given what was chosen before it."""
    dimension = space[key]
    return all(other in params and params[other] in dimension.wanted(other) for other in dimension.when or {})


def filled(space: Mapping[str, Dimension], value: Callable[[str], Any]) -> dict[str, Any]:
    """A value for every dimension, those left out that are not active."""
    params: dict[str, Any] = {}
    for key in ordered(space):
        drawn = value(key)
        if active(space, key, params):
            params[key] = drawn
    return params


def dotted(space: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested spellings (`model: {cell: {choice: …}}`, as `--set` makes them) as dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in space.items():
        if (
            isinstance(value, dict)
            and value
            and all(isinstance(v, dict) for v in value.values())
            and "when" not in value
        ):
            flat.update(dotted(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def typed(space: Mapping[str, Dimension], experiment: ExperimentConfig, place: str) -> dict[str, Dimension]:
    """The space with every corner of it tried on the experiment, and each choice given its field's own type.

    Raises:
        ConfigError: an unknown key, a value that the experiment refuses, a condition that never holds.
    """
    known = [path for path in paths(experiment) if path not in ("task", "name", "changes")]
    for key in space:
        if key in SET_BY_THE_SWEEP:
            raise ConfigError(f"space: '{key}' is set by the sweep itself", place=place, hint=SET_BY_THE_SWEEP[key])
        if key not in known:
            raise ConfigError(f"space: unknown key '{key}'", place=place, hint=did_you_mean(key, known))
    trial = _Trial(space, experiment, f"{place}: space")
    result = {}
    for key, dimension in space.items():
        values = tuple(trial.value(key, corner) for corner in dimension.corners)
        _refuse_fractions(key, dimension, trial, place)
        result[key] = dimension.model_copy(update={"choice": values} if dimension.kind == "choice" else {})
    for key, dimension in result.items():
        if dimension.when:
            when = {other: _wanted(result, key, other, trial, place) for other in dimension.when}
            result[key] = dimension.model_copy(update={"when": when})
    return result


def _refuse_fractions(key: str, dimension: Dimension, trial: _Trial, place: str) -> None:
    """A range of floats on a field of whole numbers has good ends, and nothing else."""
    if dimension.kind not in ("uniform", "log_uniform"):
        return
    low, high = dimension.bounds
    try:
        trial.value(key, low + 0.382 * (high - low))
    except ConfigError as error:
        whole = "int_uniform" if dimension.kind == "uniform" else "log_int_uniform"
        raise ConfigError(f"space: '{key}' is no field for a range of fractions: {error.message}", place=place,
                          hint=f"{{{whole}: [{low:g}, {high:g}]}} draws whole numbers") from None


def _wanted(space: Mapping[str, Dimension], key: str, other: str, trial: _Trial, place: str) -> list[Any]:
    """The values of `other` that `key` waits for, of the right type and among its choices."""
    if space[other].kind != "choice":
        raise ConfigError(
            f"space: '{key}' depends on '{other}', which is a range",
            place=place,
            hint="a condition names values of a choice",
        )
    values = [trial.value(other, value) for value in space[key].wanted(other)]
    for value in values:
        if value not in space[other].corners:
            raise ConfigError(
                f"space: '{key}' waits for {other} = {value!r}, which is none of its choices",
                place=place,
                hint=f"one of: {', '.join(map(str, space[other].corners))}",
            )
    return values


@dataclass(frozen=True)
class _Trial:
    """Tries values on the experiment."""

    space: Mapping[str, Dimension]
    experiment: ExperimentConfig
    place: str

    def value(self, key: str, corner: Any) -> Any:
        """`corner` as the field `key` understands it, tried under every value that its conditions allow."""
        conditions = self.space[key].when or {}
        for combination in itertools.product(*(self.space[key].wanted(other) for other in conditions)):
            raw = copy.deepcopy(self.experiment.as_dict())
            for other, value in zip(conditions, combination, strict=True):
                put(raw, other, value)
            put(raw, key, corner)
            value = value_at(experiment_from(raw, place=self.place), key)
        return value
