"""Tasks by name: which configuration they take, which class trains them, which metrics they report.

Everything here is a string until it is asked for, so that `validate` and `--help` need no torch.
`my_package.my_module:MyTask` names a class of the user's own that follows `gatesweep.tasks.base.Task`,
`my_package.my_module` a module of plain functions as `gatesweep.tasks.functions` wants them.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

from pydantic import ConfigDict

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

    late: tuple[str, ...] = ()
    """Those of them that no epoch reports: they cost too much to be known before the training is over."""

    model: str = "gatesweep.models.config:ModelConfig"
    """The `Section` of its `model:` key, a kind of `ModelConfig`; its module imports nothing heavy."""


TASKS: dict[str, TaskEntry] = {
    "forecasting": TaskEntry(
        config="gatesweep.tasks.forecasting.config:ForecastingData",
        task="gatesweep.tasks.forecasting.task:Forecasting",
        metrics=("loss", "mae", "rmse", "mape", "mase", "direction", "mse", "pinball", "crps", "coverage", "width"),
        model="gatesweep.models.forecaster_config:ForecastModel",
    ),
    "language_modeling": TaskEntry(
        config="gatesweep.tasks.language_modeling.config:LanguageData",
        task="gatesweep.tasks.language_modeling.task:LanguageModeling",
        metrics=("loss", "ppl", "bpc"),
        model="gatesweep.tasks.language_modeling.config:LanguageModel",
    ),
    "music": TaskEntry(
        config="gatesweep.tasks.music.config:MusicData",
        task="gatesweep.tasks.music.task:Music",
        metrics=("loss", "piece_loss", "accuracy"),
        model="gatesweep.tasks.music.config:MusicModel",
    ),
    "sequence_classification": TaskEntry(
        config="gatesweep.tasks.classification.config:ClassificationData",
        task="gatesweep.tasks.classification.task:SequenceClassification",
        metrics=("loss", "accuracy", "f1", "auroc", "ece"),
        model="gatesweep.tasks.classification.config:ClassificationModel",
    ),
    "speech_recognition": TaskEntry(
        config="gatesweep.tasks.speech.config:SpeechData",
        task="gatesweep.tasks.speech.task:SpeechRecognition",
        metrics=("loss", "accuracy", "wer", "cer", "per", "beam_accuracy", "beam_wer", "beam_cer", "beam_per"),
        late=("beam_accuracy", "beam_wer", "beam_cer", "beam_per"),
        model="gatesweep.tasks.speech.config:SpeechModel",
    ),
    "synthetic": TaskEntry(
        config="gatesweep.tasks.synthetic.config:SyntheticData",
        task="gatesweep.tasks.synthetic.task:Synthetic",
        metrics=("loss", "accuracy"),
        model="gatesweep.tasks.synthetic.config:SyntheticModel",
    ),
    "translation": TaskEntry(
        config="gatesweep.tasks.translation.config:TranslationData",
        task="gatesweep.tasks.translation.task:Translation",
        metrics=("loss", "ppl", "bleu", "bleu_lc", "chrf", "beam_bleu", "beam_bleu_lc", "beam_chrf"),
        late=("beam_bleu", "beam_bleu_lc", "beam_chrf"),
        model="gatesweep.tasks.translation.config:TranslationModel",
    ),
}


FUNCTIONS = ("build_data", "build_model", "loss")


class FreeSection(Section):
    """The `data:` of plain functions that declare no section: any keys."""

    model_config = ConfigDict(extra="allow")


def data_section(task_name: str) -> type[Section]:
    """The class of the configuration's `data:` section.

    Raises:
        ConfigError: no such task, or a class of the user's own without a `data_section`.
    """
    if task_name in TASKS:
        return cast(type[Section], _load(TASKS[task_name].config, Section))
    own: type[Section] = _attribute(task_name, "data_section", "a subclass of gatesweep.config.section.Section",
                                    lambda value: isinstance(value, type) and issubclass(value, Section), FreeSection)
    return own


def model_section(task_name: str) -> type[ModelConfig]:
    """The class of the configuration's `model:` section: a task of the user's own may have a `model_section`.

    Raises:
        ConfigError: no such task, or a `model_section` that is no kind of `ModelConfig`.
    """
    from gatesweep.models.config import ModelConfig

    if task_name in TASKS:
        return cast("type[ModelConfig]", _load(TASKS[task_name].model, ModelConfig))
    if not hasattr(_own(task_name), "model_section"):
        return ModelConfig
    own: type[ModelConfig] = _attribute(task_name, "model_section", "a subclass of gatesweep.models.config.ModelConfig",
                                        lambda value: isinstance(value, type) and issubclass(value, ModelConfig))
    return own


def load_task(task_name: str) -> type[Task]:
    """The class that holds the data and the module of one training. Imports torch.

    Raises:
        ConfigError: no such task.
    """
    if task_name in TASKS:
        return cast("type[Task]", _load(TASKS[task_name].task, object))
    own = _own(task_name)
    if isinstance(own, ModuleType):
        from gatesweep.tasks.functions import FunctionTask

        return cast("type[Task]", FunctionTask.of(own))
    return cast("type[Task]", own)


def metric_names(task_name: str) -> set[str]:
    """Every metric that a training of this task reports: `train/loss`, `val/…` and `test/…`.

    Raises:
        ConfigError: no such task, or a class of the user's own without `metrics`.
    """
    if task_name in TASKS:
        names = TASKS[task_name].metrics
    else:
        names = _attribute(task_name, "metrics", "a tuple of names such as ('loss', 'accuracy')",
                           lambda value: isinstance(value, tuple) and all(isinstance(name, str) for name in value),
                           ("loss",))
    return {"train/loss"} | {f"{split}/{name}" for split in ("val", "test") for name in names}


def epoch_metrics(task_name: str, data: Any, model: ModelConfig) -> set[str]:
    """What a training of this configuration reports every epoch: all but the test split, which is looked at once, at
    the end, what is known only then, and what the task's `unreported`, a method of its data's section, leaves out."""
    missing = set(TASKS[task_name].late if task_name in TASKS else ())
    missing |= data.unreported(model) if hasattr(data, "unreported") else set()
    late = {f"val/{name}" for name in missing}
    return {name for name in metric_names(task_name) - late if not name.startswith("test/")}


ASCENDING = frozenset(("accuracy", "beam_accuracy", "f1", "auroc", "bleu", "bleu_lc", "chrf", "beam_bleu",
                       "beam_bleu_lc", "beam_chrf", "direction"))  # fmt: skip
"""What is better the larger it is, of all that the tasks of the registry report."""


UNDIRECTED = frozenset(("coverage",))
"""What is best at a level of its own."""


def check_direction(task_name: str, metric: str, mode: str, *, place: str, key: str) -> None:
    """Refuse to look for the worst epoch; of a task of the user's own nobody knows.

    Raises:
        ConfigError: names the other mode.
    """
    name = metric.partition("/")[2]
    right = "max" if name in ASCENDING else "min"
    if task_name in TASKS and mode != right and name not in UNDIRECTED:
        raise ConfigError(f"{key}: is {mode}, and {'more' if right == 'max' else 'less'} of {metric} is better",
                          place=place, hint=f"--set {key}={right}")


def _own(task_name: str) -> Any:
    """The user's class at `module:Class`, or the module itself where its plain functions are the task.

    Raises:
        ConfigError: the name reads like neither, or leads nowhere.
    """
    module, colon, name = task_name.partition(":")
    dotted = all(part.isidentifier() for part in module.split("."))
    if dotted and colon and name.isidentifier():
        return _load(task_name, object)
    _see_working_folder()
    if not dotted or colon or importlib.util.find_spec(module.partition(".")[0]) is None:
        idea = did_you_mean(task_name, TASKS) or ""
        hint = f"{idea} A class of your own is named my_package.my_module:MyTask, plain functions my_package.my_module"
        raise ConfigError(f"there is no task '{task_name}'", place="task", hint=hint.strip())
    found = _import(module)
    missing = [each for each in FUNCTIONS if not callable(getattr(found, each, None))]
    if missing:
        raise ConfigError(f"'{module}' has no function {', '.join(missing)}", place="task",
                          hint="gatesweep.tasks.functions says what plain functions must be there")
    return found


def _load(address: str, kind: type[Any]) -> Any:
    """The class at `module:name`."""
    module_name, _, name = address.partition(":")
    _see_working_folder()
    module = _import(module_name)
    found = getattr(module, name, None)
    if not (isinstance(found, type) and issubclass(found, kind)):
        classes = [key for key, value in vars(module).items() if isinstance(value, type)]
        raise ConfigError(f"'{module_name}' has no class '{name}'", place="task", hint=did_you_mean(name, classes))
    return found


def _see_working_folder() -> None:
    """Last: a user's own module beside the configuration, never in front of a library."""
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())


def _import(module_name: str) -> ModuleType:
    try:
        return importlib.import_module(module_name)
    except ImportError as error:
        raise ConfigError(f"'{module_name}' cannot be imported: {error}", place="task",
                          hint="start in its folder, or put that on PYTHONPATH, for the workers too") from error
    except SyntaxError as error:
        raise ConfigError(f"'{module_name}' cannot be imported: {error.msg}: {(error.text or '').strip()}",
                          place=f"{error.filename}, line {error.lineno}") from error


def _attribute(task_name: str, attribute: str, expected: str, fits: Any, of_functions: Any = None) -> Any:
    """What the protocol asks of a user's own task; plain functions that do not say have `of_functions`."""
    task = _own(task_name)
    value = getattr(task, attribute, of_functions if isinstance(task, ModuleType) else None)
    if not fits(value):
        raise ConfigError(f"'{task_name}' needs the class attribute `{attribute}`: {expected}", place="task",
                          hint="gatesweep.tasks.base.Task lists what a task of your own provides")
    return value
