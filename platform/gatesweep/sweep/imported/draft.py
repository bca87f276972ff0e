"""Our sweep in the making: the keys of its file, and the comments beside them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gatesweep.config.loader import put
from gatesweep.sweep.imported.found import Report


@dataclass
class Draft:
    """What `writing` spells."""

    kind: str
    report: Report
    name: str | None = None
    question: str | None = None
    experiment: str | None = None
    """The experiment's file, relative to the sweep's."""

    constants: dict[str, Any] = field(default_factory=dict)
    """Dotted keys of the experiment that the sweep gives another value."""

    objective: dict[str, str] | None = None
    space: dict[str, dict[str, Any]] = field(default_factory=dict)
    commented: list[str] = field(default_factory=list)
    """Lines of the space that stand as comments."""

    search: dict[str, Any] = field(default_factory=dict)
    scheduler: dict[str, Any] = field(default_factory=dict)
    budget: dict[str, Any] = field(default_factory=dict)
    failure: dict[str, Any] = field(default_factory=dict)
    mapped: dict[str, str] = field(default_factory=dict)
    """Their names -> our keys."""

    @property
    def values(self) -> dict[str, Any]:
        """The file as a mapping, its keys in the order that a reader wants."""
        varied: dict[str, Any] = {"file": self.experiment} if self.experiment else {}
        for key, value in self.constants.items():
            put(varied, key, value)
        experiment = self.experiment if self.experiment and not self.constants else varied
        found = {"name": self.name, "question": self.question, "experiment": experiment, "objective": self.objective,
                 "space": self.space, "search": self.search, "scheduler": self.scheduler, "budget": self.budget,
                 "failure": self.failure}  # fmt: skip
        return {key: value for key, value in found.items() if value}
