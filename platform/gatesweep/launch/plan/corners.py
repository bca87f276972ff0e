"""The smallest and the largest configuration of a space: by trained numbers, then by what else fills memory."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gatesweep.errors import ConfigError
from gatesweep.runs.experiment import ExperimentConfig
from gatesweep.sweep.admission import Admission, at_random, none_admitted
from gatesweep.sweep.space import filled
from gatesweep.sweep.spec import SweepSpec

MOST_COMBINATIONS, DRAWN = 256, 64
SIZES = ("model.", "data.")
"""What begins so may change how large a model or a batch is."""
ALSO = ("trainer.batch_size", "trainer.accumulate", "trainer.precision", "optimizer.name")


@dataclass(frozen=True)
class Corner:
    """One configuration of the space."""

    params: dict[str, Any]
    parameters: int
    """Trained numbers."""
    config: ExperimentConfig


@dataclass(frozen=True)
class Corners:
    """Both ends, and how they were found."""

    smallest: Corner
    largest: Corner
    looked_at: int
    violating: int = 0
    """Of them, what the constraints leave out."""
    refused: int = 0
    """Of them, what the experiment refuses."""
    why: str = ""
    """What for, of the first."""


def corners(spec: SweepSpec, admission: Admission) -> Corners:
    """Count every combination of ends and choices that could matter; of too many, the outer ones and random ones.

    Raises:
        ConfigError: every one of them is refused, or violates a constraint.
    """
    found: list[Corner] = []
    violations: list[str] = []
    refusals: list[ConfigError] = []
    for params in _candidates(spec):
        try:
            violated = admission.violated(params)
            if violated:
                violations.append(violated)
                continue
            config = spec.trial_config(params, 0)
            found.append(Corner(params, admission.sizes.parameters(config), config))
        except ConfigError as error:
            refusals.append(error)
    if not found:
        raise refusals[0] if refusals else none_admitted("none of the space's corners", violations[0], spec.name)
    ordered = sorted(found, key=_size)
    return Corners(ordered[0], ordered[-1], len(found) + len(violations) + len(refusals), len(violations),
                   len(refusals), refusals[0].message if refusals else "")  # fmt: skip


def _candidates(spec: SweepSpec) -> Iterator[dict[str, Any]]:
    matters = [key for key in spec.space if key.startswith(SIZES) or key in ALSO]
    matters += [other for key in matters for other in spec.space[key].when or {}]
    values = {key: dimension.corners if key in matters else dimension.corners[:1]
              for key, dimension in spec.space.items()}  # fmt: skip
    count = 1
    for each in values.values():
        count *= len(each)
    if count > MOST_COMBINATIONS:
        values = {key: tuple(dict.fromkeys((_least(each), _most(each)))) for key, each in values.items()}
        combinations = itertools.chain([[_least(each) for each in values.values()],
                                        [_most(each) for each in values.values()]],
                                       itertools.islice(itertools.product(*values.values()), MOST_COMBINATIONS))
    else:
        combinations = itertools.chain(itertools.product(*values.values()))
    seen = []
    for combination in combinations:
        params = filled(spec.space, dict(zip(values, combination, strict=True)).__getitem__)
        if params not in seen:
            seen.append(params)
            yield params
    if spec.constraints or count > MOST_COMBINATIONS:  # the largest that is admitted may lie within
        yield from (at_random(spec, k) for k in range(DRAWN))


def _least(values: tuple[Any, ...]) -> Any:
    return min(values) if _are_numbers(values) else values[0]


def _most(values: tuple[Any, ...]) -> Any:
    return max(values) if _are_numbers(values) else values[-1]


def _are_numbers(values: tuple[Any, ...]) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def _size(corner: Corner) -> tuple[float, ...]:
    """Trained numbers; examples in a batch; then every other number of the model and the data, one for one."""
    others = [float(value) for key, value in corner.params.items()
              if key.startswith(SIZES) and isinstance(value, int | float)]  # fmt: skip
    adaptive = corner.config.optimizer.name in ("adam", "adamw")
    return (float(corner.parameters), float(corner.config.trainer.batch_size), sum(others), float(adaptive))
