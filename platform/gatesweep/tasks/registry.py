"""Tasks by name: which configuration they take, which class trains them, which metrics they report.

Everything here is a string until it is asked for, so that `validate` and `--help` need no torch.
`my_package.my_module:MyTask` names a class of the user's own that follows `gatesweep.tasks.base.Task`.
"""

from __future__ import annotations

import importlib
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from gatesweep.config.loader import did_you_mean
from gatesweep.config.section import Section
from gatesweep.errors import ConfigError

if TYPE_CHECKING:
    from gatesweep.models.config import ModelConfig
    from gatesweep.tasks.base import Task


@dataclass(frozen=True)
class TaskEntry:
    """Where a task's parts are, as `module:name`, and what it measures."""

    config: str
    """The `Section` of its `data:` key; its module imports nothing heavy."""

    task: str
    """The class that follows `gatesweep.tasks.base.Task`."""

    metrics: tuple[str, ...]
    """Names without their split, as reported for `val` and `test`; `train` reports `loss` alone."""

    model: str = "gatesweep.models.config:ModelConfig"
    """The `Section` of its `model:` key, a kind of `ModelConfig`; its module imports nothing heavy."""


TASKS: dict[str, TaskEntry] = {
    "forecasting": TaskEntry(
        config="gatesweep.tasks.forecasting.config:ForecastingData",
        task="gatesweep.tasks.forecasting.task:Forecasting",
        metrics=("loss", "mae", "rmse", "mape", "mase", "direction"),
    ),
    "translation": TaskEntry(
        config="gatesweep.tasks.translation.config:TranslationData",
        task="gatesweep.tasks.translation.task:Translation",
        metrics=("loss", "ppl", "bleu", "bleu_lc", "chrf", "beam_bleu", "beam_bleu_lc", "beam_chrf"),
        model="gatesweep.tasks.translation.config:TranslationModel",
    ),
}


def data_section(task_name: str) -> type[Section]:
    """The class of the configuration's `data:` section.

    Raises:
        ConfigError: no such task, or a class of the user's own without a `data_section`.
    """
    if task_name in TASKS:
        return cast(type[Section], _load(TASKS[task_name].config, Section))
    own: type[Section] = _attribute(task_name, "data_section", "a subclass of gatesweep.config.section.Section",
                                    lambda value: isinstance(value, type) and issubclass(value, Section))
    return own


def model_section(task_name: str) -> type[ModelConfig]:
    """The class of the configuration's `model:` section: a task of the user's own may have a `model_section`.

    Raises:
        ConfigError: no such task, or a `model_section` that is no kind of `ModelConfig`.
    """
    from gatesweep.models.config import ModelConfig

    if task_name in TASKS:
        return cast("type[ModelConfig]", _load(TASKS[task_name].model, ModelConfig))
    if not hasattr(_load(_own(task_name), object), "model_section"):
        return ModelConfig
    own: type[ModelConfig] = _attribute(task_name, "model_section", "a subclass of gatesweep.models.config.ModelConfig",
                                        lambda value: isinstance(value, type) and issubclass(value, ModelConfig))
    return own


def load_task(task_name: str) -> type[Task]:
    """The class that holds the data and the module of one training. Imports torch.

    Raises:
        ConfigError: no such task.
    """
    return cast("type[Task]", _load(TASKS[task_name].task if task_name in TASKS else _own(task_name), object))


def metric_names(task_name: str) -> set[str]:
    """Every metric that a training of this task reports: `train/loss`, `val/…` and `test/…`.

    Raises:
        ConfigError: no such task, or a class of the user's own without `metrics`.
    """
    if task_name in TASKS:
        names = TASKS[task_name].metrics
    else:
        names = _attribute(task_name, "metrics", "a tuple of names such as ('loss', 'accuracy')",
                           lambda value: isinstance(value, tuple) and all(isinstance(name, str) for name in value))
    return {"train/loss"} | {f"{split}/{name}" for split in ("val", "test") for name in names}


def epoch_metrics(task_name: str) -> set[str]:
    """What a training reports every epoch: all but the test split, which is looked at once, at the end."""
    return {name for name in metric_names(task_name) if not name.startswith("test/")}


def _own(task_name: str) -> str:
    """`task_name` where it reads like `module:Class`."""
    module, colon, name = task_name.partition(":")
    if not (colon and name.isidentifier() and all(part.isidentifier() for part in module.split("."))):
        idea = did_you_mean(task_name, TASKS) or ""
        raise ConfigError(f"there is no task '{task_name}'", place="task",
                          hint=f"{idea} A class of your own is named my_package.my_module:MyTask".strip())
    return task_name


def _load(address: str, kind: type[Any]) -> Any:
    """The class at `module:name`."""
    module_name, _, name = address.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # last: a user's own module beside the configuration, never in front of a library
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise ConfigError(f"'{address}' cannot be imported: {error}", place="task",
                          hint="start in its folder, or put that on PYTHONPATH, for the workers too") from error
    found = getattr(module, name, None)
    if not (isinstance(found, type) and issubclass(found, kind)):
        classes = [key for key, value in vars(module).items() if isinstance(value, type)]
        raise ConfigError(f"'{module_name}' has no class '{name}'", place="task", hint=did_you_mean(name, classes))
    return found


def _attribute(task_name: str, attribute: str, expected: str, fits: Any) -> Any:
    """A class attribute that the protocol asks of a user's own task."""
    task = _load(_own(task_name), object)
    value = getattr(task, attribute, None)
    if not fits(value):
        raise ConfigError(f"'{task_name}' needs the class attribute `{attribute}`: {expected}", place="task",
                          hint="gatesweep.tasks.base.Task lists what a task of your own provides")
    return value
