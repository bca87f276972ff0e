"""A dimension as an axis: categories, a linear range or a logarithmic one, from its spec and the values drawn.

A choice is categorical even when its values are numbers: 32, 64, 128 stand at equal distances, in the file's order.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from gatesweep.report.view import SweepView
from gatesweep.report.words import exact


@dataclass(frozen=True, slots=True)
class Axis:
    """One dimension.

    Args:
        label: the key's last part where no other dimension ends alike, else the key.
        levels: the categories' labels in order; empty for a numeric axis.
        low, high: ends of a numeric axis, in the dimension's own unit.
        gaps: some trial has no value here, because the dimension is conditional.
    """

    key: str
    label: str
    scale: Literal["category", "linear", "log"]
    levels: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 1.0
    gaps: bool = False

    @property
    def varies(self) -> bool:
        """Whether there is anything to compare."""
        return len(self.levels) > 1 or (self.scale != "category" and self.high > self.low)


def axes(view: SweepView) -> list[Axis]:
    """One axis per dimension of the space, then one per parameter that no dimension declares."""
    keys = dict.fromkeys([*view.space, *(key for trial in view.trials for key in trial.params)])
    labels = _labels(list(keys))
    return [
        _axis(
            key,
            labels[key],
            view.space.get(key),
            [trial.params[key] for trial in view.trials if key in trial.params],
            any(key not in trial.params for trial in view.trials),
        )
        for key in keys
    ]


def _labels(keys: list[str]) -> dict[str, str]:
    """`model.hidden_size` -> `hidden_size`; `optimizer.name` keeps its section, which says more than `name`."""
    short = {key: key if key.endswith((".name", ".kind", ".type")) else key.rpartition(".")[2] for key in keys}
    return {key: label if Counter(short.values())[label] == 1 else key for key, label in short.items()}


def _axis(key: str, label: str, spec: Any, drawn: list[Any], gaps: bool) -> Axis:
    spec = declared(spec)
    if "choice" in spec or not all(is_number(value) for value in drawn):
        levels = dict.fromkeys(exact(value) for value in (*spec.get("choice", ()), *drawn))
        return Axis(key, label, "category", levels=tuple(levels), gaps=gaps)
    ends = [float(value) for value in (*_bounds(spec), *drawn) if math.isfinite(value)]
    if not ends:
        return Axis(key, label, "category", gaps=gaps)
    log = any("log" in kind for kind in spec) and min(ends) > 0
    return Axis(key, label, "log" if log else "linear", low=min(ends), high=max(ends), gaps=gaps)


def declared(spec: Any) -> dict[str, Any]:
    """What a dimension's spec says, without the kinds that it leaves empty."""
    return {kind: value for kind, value in spec.items() if value is not None} if isinstance(spec, Mapping) else {}


def is_number(value: Any) -> bool:
    """An int or a float; a bool is a word here."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _bounds(spec: dict[str, Any]) -> list[float]:
    """The two ends of `{uniform: [low, high]}` and its kin; none for a spec of another form."""
    for kind, value in spec.items():
        if kind != "when" and isinstance(value, list | tuple) and len(value) >= 2 and all(map(is_number, value[:2])):
            return [float(value[0]), float(value[1])]
    return []
