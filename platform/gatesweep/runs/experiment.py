"""`configs/experiments/*.yaml`: one training, described whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    Field,
    PositiveInt,
    SerializeAsAny,
    SerializerFunctionWrapHandler,
    create_model,
    model_serializer,
)

from gatesweep.config.digest import digest
from gatesweep.config.loader import build, did_you_mean, override, put
from gatesweep.config.section import Section
from gatesweep.config.sections import flat, paths
from gatesweep.config.yaml_file import read_mapping
from gatesweep.errors import ConfigError
from gatesweep.models.config import ModelConfig
from gatesweep.runs.initial import InitFrom
from gatesweep.tasks.registry import check_direction, data_section, epoch_metrics, model_section
from gatesweep.train.config import KeepConfig, OptimizerConfig, ScheduleConfig, TrainerConfig

NEVER_CHANGE = ("task", "name", "changes", "trainer.max_epochs", "trainer.monitor", "trainer.mode")


class Change(Section):
    """Values that are others from an epoch on; weights, moments and generators go on as they are."""

    after_epoch: PositiveInt
    """The last epoch with the values before."""

    values: Annotated[dict[str, Any], Field(min_length=1)]
    """Dotted keys and their new values, `{optimizer.lr: 0.01}`; what gives weights another shape cannot change."""


class ExperimentConfig(Section):
    """One training: what to learn from what, with which model, how."""

    name: str | None = Field(None, pattern=r"^[a-z0-9-]{1,24}$")
    """Names the MLflow experiment; by default the file's stem."""

    task: str
    """A task's name, e.g. forecasting, or `my_package.my_module:MyTask`."""

    data: SerializeAsAny[Section]
    """The task's own data section."""

    model: SerializeAsAny[ModelConfig] = ModelConfig()
    """The cell and what is built of it; a task may add keys of its own."""

    init_from: InitFrom | None = None
    """Another run's weights to start from; none draws them all from the seed."""

    optimizer: OptimizerConfig = OptimizerConfig()
    """How the weights move."""

    schedule: ScheduleConfig = ScheduleConfig()
    """How the learning rate changes."""

    trainer: TrainerConfig = TrainerConfig()
    """How long and on what it runs."""

    seed: int = Field(1, ge=0, lt=2**32)
    """Everything random follows from it: weights, order of data, dropout."""

    keep: KeepConfig = KeepConfig()
    """What stays on disk."""

    changes: tuple[Change, ...] = ()
    """Values that change on the way, as a sweep of `scheduler: {name: pbt}` found them."""

    def with_one_seed(self) -> ExperimentConfig:
        """The seed stays what it is through all changes: those that a population's trials put in go."""
        kept = [(change.after_epoch, {key: value for key, value in change.values.items() if key != "seed"})
                for change in self.changes]  # fmt: skip
        changes = tuple(Change(after_epoch=epoch, values=values) for epoch, values in kept if values)
        return self.model_copy(update={"changes": changes})

    @model_serializer(mode="wrap")
    def _without_no_changes(self, whole: SerializerFunctionWrapHandler) -> dict[str, Any]:
        values: dict[str, Any] = whole(self)
        if not values.get("changes"):
            values.pop("changes", None)
        return values

    def as_dict(self) -> dict[str, Any]:
        """Every value, defaults included, as plain JSON."""
        return self.model_dump(mode="json")

    @property
    def digest(self) -> str:
        """The same for the same training; its name and what is kept of it do not count."""
        return digest({key: value for key, value in self.as_dict().items() if key not in ("name", "keep")})


@lru_cache
def experiment_type(task: str) -> type[ExperimentConfig]:
    """`ExperimentConfig` whose `data` and `model` are the task's own sections.

    Raises:
        ConfigError: no task of that name.
    """
    model = model_section(task)
    made = create_model(  # type: ignore[call-overload]
        "ExperimentConfig", __base__=ExperimentConfig, data=(data_section(task), ...), model=(model, model())
    )
    made.__doc__ = ExperimentConfig.__doc__
    return made


def experiment_from(raw: dict[str, Any], *, place: str) -> ExperimentConfig:
    """A checked experiment from a plain mapping; `place` names the source in errors."""
    task = raw.get("task")
    if not isinstance(task, str):
        raise ConfigError("'task' is missing", place=place, hint="add `task: forecasting`")
    try:
        kind = experiment_type(task)
    except ConfigError as error:
        raise ConfigError(f"task: {error.message}", place=place, hint=error.hint) from None
    config = build(kind, raw, place=place)
    if config.changes:
        config = config.model_copy(update={"changes": _typed(config, place)})
    known = epoch_metrics(task, config.data, config.model)
    if known and config.trainer.monitor not in known:
        raise ConfigError(
            f"trainer.monitor: {task} reports no '{config.trainer.monitor}' while it trains, as it is configured",
            place=place,
            hint=f"one of: {', '.join(sorted(known))}",
        )
    return config


@dataclass(frozen=True)
class Stage:
    """Epochs with the same values."""

    after_epoch: int
    config: ExperimentConfig
    """Whole, without changes of its own."""


def stages_of(config: ExperimentConfig, place: str = "changes") -> list[Stage]:
    """The stages of a training, one of an experiment without changes.

    Raises:
        ConfigError: changes out of order, after the last epoch, or of what does not exist.
    """
    raw = config.as_dict()
    raw.pop("changes", None)
    found = [Stage(0, config.model_copy(update={"changes": ()}))]
    known = [path for path in paths(config) if path not in NEVER_CHANGE]
    for number, change in enumerate(config.changes):
        where, last = f"{place}: changes[{number}]", found[-1].after_epoch
        if not last < change.after_epoch < config.trainer.max_epochs:
            raise ConfigError(f"after_epoch: {change.after_epoch} is not after {last} and before trainer.max_epochs "
                              f"{config.trainer.max_epochs}", place=where)  # fmt: skip
        for key, value in change.values.items():
            if key not in known:
                raise ConfigError(f"values: unknown key '{key}'", place=where, hint=did_you_mean(key, known))
            put(raw, key, value, place=where)
        found.append(Stage(change.after_epoch, experiment_from(raw, place=where)))
    return found


def _typed(config: ExperimentConfig, place: str) -> tuple[Change, ...]:
    """The changes with each value as its field has it; YAML gives words."""
    values = [flat(stage.config.as_dict()) for stage in stages_of(config, place)[1:]]
    return tuple(Change(after_epoch=change.after_epoch, values={key: now[key] for key in change.values})
                 for change, now in zip(config.changes, values, strict=True))  # fmt: skip


def refuse_the_worst(config: ExperimentConfig, place: str) -> ExperimentConfig:
    """What is to be trained now must look for the best epoch; a run that was trained otherwise is still read."""
    check_direction(config.task, config.trainer.monitor, config.trainer.mode, place=place, key="trainer.mode")
    return config


def name_of(path: Path) -> str:
    """A file's stem as a name: small letters, digits and dashes, at most 24."""
    stem = "".join(c if c.isalnum() and c.isascii() else "-" for c in path.stem.lower()).strip("-")
    return stem[:24].rstrip("-") or "experiment"


def load_experiment(path: Path, assignments: Sequence[str] = ()) -> ExperimentConfig:
    """The experiment in a file, with `--set` put in.

    Raises:
        ConfigError: what is wrong, with file, key, value and a hint.
    """
    return refuse_the_worst(experiment_from(override(read_experiment(path), assignments), place=str(path)), str(path))


def read_experiment(path: Path) -> dict[str, Any]:
    """The mapping in an experiment's file, with its name, and with the path of its data found."""
    raw = read_mapping(path)
    raw.setdefault("name", name_of(path))
    if isinstance(raw.get("data"), dict) and isinstance(raw["data"].get("path"), str):
        raw["data"] = {**raw["data"], "path": _beside(path, raw["data"]["path"])}
    return raw


def _beside(file: Path, given: str) -> str:
    """A path inside a file counts from the working folder if something is there, else from the file's folder."""
    direct = Path(given).expanduser()
    beside = file.parent / direct
    return str(direct.resolve() if direct.exists() or not beside.exists() else beside.resolve())
