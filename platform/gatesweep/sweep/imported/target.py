"""What an imported space must fit: the experiment that it varies, or, without one, the sections that all have."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from gatesweep.config.loader import build, put
from gatesweep.config.section import Section
from gatesweep.config.sections import paths
from gatesweep.errors import ConfigError
from gatesweep.models.config import ModelConfig
from gatesweep.runs.experiment import ExperimentConfig, experiment_from
from gatesweep.sweep.space import SET_BY_THE_SWEEP
from gatesweep.tasks.registry import epoch_metrics
from gatesweep.train.config import OptimizerConfig, ScheduleConfig, TrainerConfig

SECTIONS: dict[str, type[Section]] = {
    "model": ModelConfig,
    "optimizer": OptimizerConfig,
    "schedule": ScheduleConfig,
    "trainer": TrainerConfig,
}


@dataclass(frozen=True)
class Target:
    """An experiment and its file, or neither."""

    experiment: ExperimentConfig | None = None
    file: Path | None = None

    @cached_property
    def known(self) -> list[str]:
        """Every key that a space may have."""
        if self.experiment is not None:
            found = [key for key in paths(self.experiment) if key not in ("task", "name")]
        else:
            found = [key for name, kind in SECTIONS.items() for key in paths(kind(), f"{name}.")] + ["seed"]
        return [key for key in found if key not in SET_BY_THE_SWEEP and not key.startswith("keep.")]

    @property
    def max_epochs(self) -> int | None:
        """How long its trials train."""
        return self.experiment.trainer.max_epochs if self.experiment is not None else None

    @property
    def metrics(self) -> set[str] | None:
        """What its task reports every epoch; none where nobody knows."""
        if self.experiment is None:
            return None
        return epoch_metrics(self.experiment.task, self.experiment.data, self.experiment.model) or None

    def with_value(self, key: str, value: Any) -> Target:
        """The same with a value of the experiment's changed: what is tried next is tried beside it."""
        if self.experiment is None:
            return self
        raw = copy.deepcopy(self.experiment.as_dict())
        put(raw, key, value)
        return Target(experiment_from(raw, place=str(self.file)), self.file)

    def refusal(self, key: str, value: Any) -> str | None:
        """Why the experiment cannot take this value; none if it can."""
        try:
            if self.experiment is not None:
                raw = copy.deepcopy(self.experiment.as_dict())
                put(raw, key, value)
                experiment_from(raw, place="")
            elif key in self.known and "." in key:
                section, _, field = key.partition(".")
                raw = {}
                put(raw, field, value)
                build(SECTIONS[section], raw, place="")
        except ConfigError as error:
            return _said_of(key, error.message.partition("\n")[0])
        return None


def _said_of(key: str, message: str) -> str:
    """A message with the whole key in front, whether it came from an experiment or from one of its sections."""
    field = key.rpartition(".")[2]
    for start in (f"{key}: ", f"{key.partition('.')[0]}: ", f"{field}: "):
        if message.startswith(start):
            message = message.removeprefix(start)
    return f"{key}: {message}"
