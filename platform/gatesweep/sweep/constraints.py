"""`constraints:` of a sweep: what a configuration must satisfy to be tried.

    constraint  =  sum ("<=" | "<" | ">=" | ">") sum
    sum         =  product {("+" | "-") product}
    product     =  factor {("*" | "/") factor}
    factor      =  ["-"] (number | name | "(" sum ")")

A name is `model.parameters`, the trained numbers of the whole model (`runs.size`), or a field of the experiment that
holds a number. Everything is calculated on ranges: a configuration is a range without width for each name, and the
whole space one from end to end, so that a constraint that nothing can satisfy is known before anything is drawn.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gatesweep.config.dimension import Dimension
from gatesweep.config.loader import did_you_mean
from gatesweep.config.sections import paths, value_at
from gatesweep.errors import ConfigError
from gatesweep.runs.experiment import ExperimentConfig

PARAMETERS = "model.parameters"
Range = tuple[float, float]
Values = Mapping[str, Range]
_Term = Callable[[Values], Range]
_NUMBER = r"\d[\d_]*\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?"
_TOKEN = re.compile(rf"\s*(?:({_NUMBER})|([A-Za-z_][\w.]*)|(<=|>=|==|!=|\S))")
_EXAMPLE = "for example 'model.parameters <= 2e6' or 'model.hidden_size * model.layers <= 512'"


@dataclass(frozen=True)
class Constraint:
    """One line of the list."""

    text: str
    names: tuple[str, ...]
    excess: _Term
    """By how much a configuration misses it; at most 0 where it holds."""
    strict: bool

    def holds(self, values: Values) -> bool:
        """Whether a configuration, or some configuration of a whole space, can satisfy it."""
        low = self.excess(values)[0]
        return low < 0 if self.strict else low <= 0


def parse(text: str) -> Constraint:
    """A constraint from its text.

    Raises:
        ValueError: what is wrong with it, with a hint.
    """
    tokens = [next(filter(None, found.groups())) for found in _TOKEN.finditer(text.strip())]
    reader = _Reader(text, tokens)
    left = reader.sum()
    operator = reader.take()
    if operator not in ("<=", "<", ">=", ">"):
        said = f"'{operator}' compares nothing" if operator else "it compares nothing"
        raise ValueError(f"{text!r}: {said}\n\nhint: <=, <, >= or >, {_EXAMPLE}")
    right = reader.sum()
    if reader.left:
        raise ValueError(f"{text!r}: '{reader.left[0]}' follows where it should end\n\nhint: {_EXAMPLE}")
    less, more = (left, right) if operator[0] == "<" else (right, left)
    return Constraint(text, tuple(dict.fromkeys(reader.names)), _combined("-", less, more), len(operator) == 1)


class _Reader:
    """Descends through the grammar above."""

    def __init__(self, text: str, tokens: list[str]) -> None:
        self.text, self.left, self.names = text, tokens, list[str]()

    def take(self) -> str:
        return self.left.pop(0) if self.left else ""

    def sum(self) -> _Term:
        return self._chain("+-", self._product)

    def _product(self) -> _Term:
        return self._chain("*/", self._factor)

    def _chain(self, operators: str, part: Callable[[], _Term]) -> _Term:
        term = part()
        while self.left and self.left[0] in operators:
            term = _combined(self.take(), term, part())
        return term

    def _factor(self) -> _Term:
        token = self.take()
        if token == "-":
            return _combined("-", lambda values: (0.0, 0.0), self._factor())
        if token == "(":
            inner = self.sum()
            if self.take() != ")":
                raise ValueError(f"{self.text!r}: a bracket is not closed\n\nhint: {_EXAMPLE}")
            return inner
        if token[:1].isdigit() or (token[:1] == "." and token != "."):
            number = float(token)
            return lambda values: (number, number)
        if token[:1].isalpha() or token[:1] == "_":
            self.names.append(token)
            return lambda values: values[token]
        said = f"'{token}' stands" if token else "it ends"
        raise ValueError(f"{self.text!r}: {said} where a number or a name should\n\nhint: {_EXAMPLE}")


def _combined(operator: str, one: _Term, other: _Term) -> _Term:
    def term(values: Values) -> Range:
        (a, b), (c, d) = one(values), other(values)
        if operator == "+":
            return a + c, b + d
        if operator == "-":
            return a - d, b - c
        if operator == "/":
            if c <= 0 <= d:
                return (math.inf, math.inf) if c == d else (-math.inf, math.inf)  # a configuration that divides by 0
            c, d = 1 / d, 1 / c
        corners = [0.0 if 0 in (x, y) else x * y for x in (a, b) for y in (c, d)]
        return min(corners), max(corners)

    return term


def checked_constraints(texts: Sequence[str], space: Mapping[str, Dimension], experiment: ExperimentConfig,
                        place: str) -> tuple[Constraint, ...]:  # fmt: skip
    """Every constraint, of names that hold numbers, and each of them possible somewhere in the space.

    Raises:
        ConfigError: bad syntax, an unknown name, one that is no number, one that nothing can satisfy.
    """
    found = []
    for n, text in enumerate(texts):
        where = f"constraints[{n}]"
        try:
            constraint = parse(text)
        except ValueError as error:
            message, _, hint = str(error).partition("\n\nhint: ")
            raise ConfigError(f"{where}: {message}", place=place, hint=hint or None) from None
        values = {name: _of_space(name, space, experiment, f"{where}: {text!r}", place) for name in constraint.names}
        if not any(name in space or name == PARAMETERS for name in constraint.names):
            raise ConfigError(f"{where}: {text!r} names no dimension of the space, so that it holds always or never",
                              place=place, hint=f"one of: {', '.join([PARAMETERS, *space])}")
        if not constraint.holds(values):
            raise ConfigError(f"{where}: nothing in the space satisfies {text!r}", place=place, hint=_ranges(values))
        found.append(constraint)
    return tuple(found)


def values_of(constraints: Sequence[Constraint], params: Mapping[str, Any], experiment: ExperimentConfig,
              parameters: Callable[[], int]) -> dict[str, Range]:  # fmt: skip
    """What the names are in one configuration; a dimension that is not active in it is what the experiment says."""
    found = {}
    for name in dict.fromkeys(name for constraint in constraints for name in constraint.names):
        value = parameters() if name == PARAMETERS else params[name] if name in params else value_at(experiment, name)
        found[name] = (float(value), float(value))
    return found


def _of_space(name: str, space: Mapping[str, Dimension], experiment: ExperimentConfig, where: str, place: str) -> Range:
    """The lowest and the highest value of a name in the whole space."""
    if name == PARAMETERS:
        return 0.0, math.inf
    known = paths(experiment)
    if name not in known:
        raise ConfigError(f"{where}: there is no '{name}'", place=place,
                          hint=did_you_mean(name, [PARAMETERS, *space, *known]))
    dimension, given = space.get(name), value_at(experiment, name)
    there = [] if dimension is None else list(dimension.corners)
    if dimension is None or dimension.when:
        there.append(given)  # what it is where it is not active
    for value in there:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ConfigError(f"{where}: '{name}' is or may be {value!r}, which is no number", place=place,
                              hint=f"a constraint compares numbers, {_EXAMPLE}")
    return float(min(there)), float(max(there))


def _ranges(values: Values) -> str:
    """What the names can be, for a reader."""
    return "; ".join(f"{name} is {low:g}" if low == high else f"{name} lies within {low:g} and {high:g}"
                     for name, (low, high) in values.items())  # fmt: skip
