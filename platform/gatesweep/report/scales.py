"""Axis ranges that one diverged trial cannot spoil, and ticks that a person would have chosen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from gatesweep.report.words import number

_WIDE, _LOG_RATIO = 3.0, 30.0


@dataclass(frozen=True, slots=True)
class Scale:
    """A range of values in their own unit; `beyond` of them lie outside it, on the worse side, past `edge`."""

    low: float
    high: float
    log: bool = False
    beyond: int = 0
    edge: float | None = None

    def axis(self) -> dict[str, Any]:
        """As a Plotly axis, with a little air at both ends."""
        low, high = span(self.low, self.high, self.log)
        air = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
        return {"type": "log" if self.log else "linear", "range": [low - air, high + air]}


def robust(values: Sequence[float], mode: Literal["min", "max"], among: Sequence[float] | None = None) -> Scale:
    """The range of `values` without the worst 5%, if those would make it more than three times as wide.

    Positive values over a factor of thirty or more lie on a logarithmic scale.

    Args:
        among: all values that will be drawn, to count those beyond the range; `values` by default.
    """
    ordered = sorted(value for value in values if math.isfinite(value))
    if not ordered:
        return Scale(0.0, 1.0)
    low, high = ordered[0], ordered[-1]
    worst = round(0.95 * (len(ordered) - 1))
    cut = ordered[worst] if mode == "min" else ordered[-1 - worst]
    inner = (cut - low) if mode == "min" else (high - cut)
    if inner > 0 and high - low > _WIDE * inner:
        low, high = (low, cut) if mode == "min" else (cut, high)
    everything = [value for value in (among if among is not None else values) if math.isfinite(value)]
    low, high = (min(low, *everything), high) if mode == "min" else (low, max(high, *everything))
    beyond = sum(not low <= value <= high for value in everything)
    return Scale(
        low, high, log=low > 0 and high / low >= _LOG_RATIO, beyond=beyond, edge=high if mode == "min" else low
    )


def span(low: float, high: float, log: bool) -> tuple[float, float]:
    """The range in the coordinates of the axis: log10 where `log`."""
    return (math.log10(low), math.log10(high)) if log else (low, high)


def ticks(low: float, high: float, log: bool, most: int = 6) -> tuple[list[float], list[str]]:
    """Round places within the range, in the coordinates of the axis, and their labels."""
    places = _log_places(low, high, most) if log else _linear_places(low, high, most)
    return [math.log10(place) if log else place for place in places], [number(place, 3) for place in places]


def _linear_places(low: float, high: float, most: int) -> list[float]:
    if high <= low:
        return [low]
    raw = (high - low) / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [
        round(place * step, 12 - math.floor(math.log10(step))) + 0.0
        for place in range(first, math.floor(high / step + 1e-9) + 1)
    ]


def _log_places(low: float, high: float, most: int) -> list[float]:
    decades = math.log10(high) - math.log10(low)
    factors = (1,) if decades >= 3 else (1, 3) if decades >= 1.5 else (1, 2, 5)
    places = [
        10.0**power * factor
        for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        for factor in factors
        if low * (1 - 1e-9) <= 10.0**power * factor <= high * (1 + 1e-9)
    ]
    return places[:: -(-len(places) // most)] if len(places) >= 2 else [low, high]
