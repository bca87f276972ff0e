"""What another tool's file was found to say: its words still, our kinds already, and whatever was left over."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from gatesweep.config.dimension import Kind
from gatesweep.errors import ConfigError

Mode = Literal["min", "max"]


@dataclass(frozen=True)
class Unmapped:
    """One key of theirs that ours has no place for."""

    key: str
    value: Any
    why: str


@dataclass(frozen=True)
class Parameter:
    """What one parameter may be: a `value` that it always has, choices, or the two ends of a range."""

    kind: Kind | Literal["value"]
    values: tuple[Any, ...]
    given: Any
    """As their file spells it, for what is told of it."""

    @property
    def is_range(self) -> bool:
        """Whether it lies between two ends."""
        return self.kind not in ("value", "choice")


@dataclass
class Report:
    """What is told beside the sweep itself."""

    place: str
    unmapped: list[Unmapped] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What was mapped and yet means something a little different here."""

    def skip(self, key: str, value: Any, why: str) -> None:
        """List a key that could not be mapped."""
        self.unmapped.append(Unmapped(key, value, why))

    def note(self, text: str) -> None:
        """Say what is a little different here, once."""
        if text not in self.notes:
            self.notes.append(text)

    def wrong(self, key: str, message: str, hint: str | None = None) -> ConfigError:
        """An error of their file: its key, what is wrong, what to do."""
        return ConfigError(f"{key}: {message}", place=self.place, hint=hint)


@dataclass
class Foreign:
    """A whole file of theirs. `search`, `scheduler`, `budget` and `failure` are sections of ours."""

    kind: str
    """What to call such a file."""

    report: Report
    name: str | None = None
    question: str | None = None
    metric: str | None = None
    metric_key: str = "metric.name"
    """Where their file names the metric."""

    mode: Mode = "min"
    parameters: dict[str, Parameter] = field(default_factory=dict)
    """By their names, nested ones with dots."""

    unusual: dict[str, str] = field(default_factory=dict)
    """Parameters whose range has no kind of ours: what is nearest to each, as a line of YAML."""

    search: dict[str, Any] = field(default_factory=dict)
    search_key: str = "method"
    """Where their file names the search."""

    scheduler: dict[str, Any] = field(default_factory=lambda: {"name": "none"})
    scheduler_key: str = "early_terminate"
    """Where their file says what ends trials early."""

    budget: dict[str, Any] = field(default_factory=dict)
    failure: dict[str, Any] = field(default_factory=dict)
    epochs: int | None = None
    """Epochs of a trial, where the schedule says so."""
