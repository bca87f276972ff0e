"""Whether two runs have the same numbers: every value of every step, and the hash of the weights.

    bitwise            every value is the same float, and so are the weights
    within_tolerance   no value is further from the recorded one than |is - was| <= tolerance max(|was|, 1e-8)
    diverged           one is

Times, and values that a sweep changed on the way, are not numbers of the training. Scores of the baseline and of the
test split have one value each, whatever step they are written at.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

TOLERANCE = 1e-5
"""Relative: what float32 loses where sums of some thousand terms are added up in another order."""

WEIGHTS = "weights"
"""Stands for the hash of the final weights where a metric's name would."""

_TINY = 1e-8
_TIMES = ("time/", "system/", "mutation/")
_ONCE = ("test/", "baseline/")

Values = Mapping[tuple[str, int], float]
"""(metric, step) -> value."""


def finite(value: Any) -> Any:
    """JSON has neither NaN nor infinity: they become words."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


@dataclass(frozen=True)
class FirstDifference:
    """The first step, and its first metric, whose values differ."""

    metric: str
    step: int
    was: Any
    is_now: Any

    @property
    def named(self) -> str:
        """As a reader is told of it; 0 stands for a score that comes once."""
        return f"{self.metric} of epoch {self.step}" if self.step else self.metric

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"metric": self.metric, "step": self.step, "was": finite(self.was), "is": finite(self.is_now)}


@dataclass(frozen=True)
class Verdict:
    """What a comparison found."""

    verdict: Literal["bitwise", "within_tolerance", "diverged"]
    compared: int
    """Values, the weights' hash among them where both runs have one."""

    different: int
    largest: float
    """Largest relative difference of a value; infinite where one of the two is missing or no number."""

    first: FirstDifference | None


def comparable(values: Values, *, epochs: int | None = None, after: int = 0) -> dict[tuple[str, int], float]:
    """The values that a rerun must have again; of a rerun of a few epochs, those of their steps alone.

    Args:
        after: only what came after this epoch; scores that come once may be of an earlier one.
    """
    kept = {}
    for (metric, step), value in values.items():
        once = metric.startswith(_ONCE)
        if metric.startswith(_TIMES) or (epochs is not None and (once or step > epochs)):
            continue
        if after and (once or step <= after):
            continue
        kept[metric, 0 if once else step] = value
    return kept


def judge(was: Values, now: Values, *, weights: Sequence[str | None] = (None, None),
          tolerance: float = TOLERANCE, more: bool = False) -> Verdict:  # fmt: skip
    """Compare what a run recorded with what its rerun did.

    Args:
        was, now: as `comparable` gives them, of the same epochs. A value that one of them alone has is a difference;
            but a metric that the run never recorded is none if `more`, or if it is a score that comes once.
        weights: the hashes of both; compared where the rerun has one. A run that has lost its own is not proven.
        more: the rerun's code is another, and may record what the run's did not.
    """
    names = {metric for metric, _ in was}
    lost = [key for key in now if key not in was and (key[0] in names or not (more or key[0].startswith(_ONCE)))]
    odd = [(key, was.get(key), now.get(key)) for key in (*was, *lost) if not _same(was.get(key), now.get(key))]
    largest = max((_apart(one, other) for _, one, other in odd), default=0.0)
    found = [FirstDifference(metric, step, one, other) for (metric, step), one, other in odd]
    first = min(found, key=_order, default=None)
    hashed = bool(weights[1])
    other_weights = hashed and weights[0] != weights[1]
    if other_weights and first is None:
        first = FirstDifference(WEIGHTS, max((step for _, step in was), default=0), *weights)
    count, different = len(was) + len(lost) + hashed, len(odd) + other_weights
    if not different:
        return Verdict("bitwise", count, 0, 0.0, None)
    if other_weights and not weights[0]:
        largest = math.inf
    verdict: Literal["within_tolerance", "diverged"] = "within_tolerance" if largest <= tolerance else "diverged"
    return Verdict(verdict, count, different, largest, first)


def _order(each: FirstDifference) -> tuple[float, bool, str]:
    """By step, and within one what training itself reports first; scores that come once stand after all steps."""
    once = each.metric.startswith(_ONCE)
    return (math.inf if once else each.step, not each.metric.startswith("train/"), each.metric)


def _same(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return False
    return one == other or (math.isnan(one) and math.isnan(other))


def _apart(one: float | None, other: float | None) -> float:
    if one is None or other is None or not (math.isfinite(one) and math.isfinite(other)):
        return math.inf
    return abs(one - other) / max(abs(one), _TINY)
