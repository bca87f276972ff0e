"""One dimension of a search space: what values it may take, and when it is there at all.

model.cell:         {choice: [vanilla, peephole]}
model.dropout:      {uniform: [0.0, 0.5]}
model.hidden_size:  {int_uniform: [16, 256]}
optimizer.lr:       {log_uniform: [1e-4, 1e-1]}
optimizer.momentum: {uniform: [0.0, 0.99], when: {optimizer.name: sgd}}
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from gatesweep.config.section import Section

Kind = Literal["choice", "uniform", "log_uniform", "int_uniform", "log_int_uniform"]
KINDS: tuple[Kind, ...] = ("choice", "uniform", "log_uniform", "int_uniform", "log_int_uniform")


class Dimension(Section):
    """Exactly one of the kinds, and optionally a condition."""

    choice: Annotated[tuple[Any, ...], Field(min_length=1)] | None = None
    """One of these values, each as likely as the other."""

    uniform: tuple[float, float] | None = None
    """A number between low and high."""

    log_uniform: tuple[float, float] | None = None
    """A number whose logarithm is uniform: for learning rates and other scales. Low must be above 0."""

    int_uniform: tuple[int, int] | None = None
    """A whole number from low to high, both included."""

    log_int_uniform: tuple[int, int] | None = None
    """A whole number whose logarithm is uniform; low must be above 0."""

    when: dict[str, Any] | None = None
    """Only where these other dimensions have this value (or one of these values): `{optimizer.name: sgd}`."""

    @model_validator(mode="after")
    def _one_kind_in_order(self) -> Dimension:
        given = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            raise ValueError(f"a dimension has one of {', '.join(KINDS)}; this one has {' and '.join(given) or 'none'}")
        if self.kind != "choice":
            low, high = self.bounds
            if not low < high:
                raise ValueError(f"low must be below high, not [{low}, {high}]")
            if self.kind.startswith("log") and low <= 0:
                raise ValueError(f"a logarithmic range starts above 0, not at {low}")
        return self

    @property
    def kind(self) -> Kind:
        """Which of the kinds this is."""
        return next(kind for kind in KINDS if getattr(self, kind) is not None)

    @property
    def bounds(self) -> tuple[float, float]:
        """Low and high of a range."""
        low, high = getattr(self, self.kind)
        return low, high

    @property
    def corners(self) -> tuple[Any, ...]:
        """The values that a check must try: every choice, or both ends of a range."""
        return tuple(getattr(self, self.kind))

    def wanted(self, other: str) -> tuple[Any, ...]:
        """The values of dimension `other` under which this one is active."""
        value = (self.when or {})[other]
        return tuple(value) if isinstance(value, list | tuple) else (value,)
