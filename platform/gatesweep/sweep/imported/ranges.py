"""Ranges of theirs, with steps and logarithms, as dimensions of ours, which have no steps.

A step becomes a list of choices where there are few values and their chances are about equal; else the range stays and
the step is listed. A grid takes every value.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, cast

from gatesweep.config.dimension import Kind
from gatesweep.sweep.imported.found import Parameter, Report
from gatesweep.sweep.imported.values import is_whole, spelled

MOST_CHOICES = 32
"""A range with a step becomes choices up to so many values: more would hide from a model which are neighbours."""

MOST_OF_A_GRID = 1000
"""Values of one dimension of a grid."""


@dataclass(frozen=True)
class Span:
    """A range as their file says it."""

    key: str
    low: Decimal
    high: Decimal
    given: dict[str, Any]
    """The parameter in their file; `given[names[0]]` spells the low end."""

    log: bool = False
    step: Decimal | None = None
    step_key: str = "q"
    names: tuple[str, str] = ("min", "max")

    @property
    def whole(self) -> bool:
        """Whether only whole numbers are in it: it has a step, and no fraction anywhere."""
        return self.step is not None and is_whole(self.low, self.high, self.step)

    @property
    def ends(self) -> tuple[str, str]:
        """Both ends as our file spells them."""
        low, high = (self.given.get(name) for name in self.names)
        return spelled(self.low, low), spelled(self.high, high)


@dataclass(frozen=True)
class Searched:
    """What the file's search can take."""

    grid: bool = False
    ranges_only: bool = False


def dimension(span: Span, searched: Searched, report: Report) -> Parameter:
    """What is nearest to the range here.

    Raises:
        ConfigError: the ends are in the wrong order or below zero, or a grid has too many or endless values.
    """
    _check(span, report)
    if span.low == span.high:
        return Parameter("choice", (span.ends[0],), span.given)
    if searched.grid:
        return Parameter("choice", _every_value(span, report), span.given)
    step = span.step if span.step is not None and not (span.whole and span.step == 1) else None
    if step is not None and not span.log and not searched.ranges_only and _count(span) <= MOST_CHOICES:
        report.note(f"{span.key}: the range with a {span.step_key} is a list of choices, each as likely as the other")
        return Parameter("choice", _values(span), span.given)
    if step is not None:
        why = ("a logarithmic range has no step here" if span.log else "cmaes takes ranges, and they have no step here"
               if searched.ranges_only else f"it would be a list of more than {MOST_CHOICES} choices")  # fmt: skip
        report.skip(f"{span.key}.{span.step_key}", spelled(step), f"{why}: any number in the range is proposed")
    kind = f"{'log_' if span.log else ''}{'int_' if span.whole else ''}uniform"
    return Parameter(cast("Kind", kind), span.ends, span.given)


def _check(span: Span, report: Report) -> None:
    low, high = span.ends
    if span.low > span.high:
        raise report.wrong(span.key, f"{span.names[0]} {low} is above {span.names[1]} {high}")
    if span.log and span.low <= 0:
        raise report.wrong(span.key, f"a logarithmic range starts above 0, not at {low}")
    if span.step is not None and span.step <= 0:
        raise report.wrong(f"{span.key}.{span.step_key}", f"is above 0, not {span.step}")


def _every_value(span: Span, report: Report) -> tuple[str, ...]:
    if span.step is None:
        raise report.wrong(span.key, f"a grid has no end over a range without a {span.step_key}",
                           "list its values, or take another method")  # fmt: skip
    if _count(span) > MOST_OF_A_GRID:
        raise report.wrong(span.key, f"a grid over more than {MOST_OF_A_GRID} values of one parameter",
                           "a larger step, or another method")  # fmt: skip
    return _values(span)


def _count(span: Span) -> Decimal:
    """How many values: `(high - low) // step + 1`, of which there may be more than integers like to hold."""
    return (span.high - span.low) / (span.step or Decimal(1)) + 1


def _values(span: Span) -> tuple[str, ...]:
    step = span.step or Decimal(1)
    return tuple(spelled(span.low + step * each, None) for each in range(int(_count(span))))
