"""`configs/sweeps/*.yaml`: a question, a space, and how to search it. Checked whole before anything starts."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, NonNegativeInt, PositiveFloat, model_validator

from gatesweep.config.dimension import Dimension
from gatesweep.config.loader import build, did_you_mean, override, put
from gatesweep.config.section import Section
from gatesweep.config.yaml_file import read_mapping
from gatesweep.errors import ConfigError
from gatesweep.runs.experiment import ExperimentConfig, experiment_from, name_of, read_experiment
from gatesweep.sweep.checks import check_goals, check_options, check_schedule
from gatesweep.sweep.constraints import checked_constraints
from gatesweep.sweep.options import Budget, Objective, Objectives, Resources, SchedulerConfig, SearchConfig
from gatesweep.sweep.points import checked_points
from gatesweep.sweep.space import dotted, ordered, typed
from gatesweep.tasks.registry import check_direction
from gatesweep.train.config import KeepConfig


class FailureConfig(Section):
    """What happens when a trial dies."""

    retries: NonNegativeInt = 3
    """Further attempts after a death that counts: no memory, a crash, an error in the task, too slow. A lost node does
    not count, a NaN loss gets no other attempt, nor does the same error in the same place twice."""

    timeout_s: PositiveFloat | None = None
    """Seconds without a finished epoch, the start of its process included, after which an attempt is ended."""

    same_error: Annotated[int, Field(ge=2)] = 3
    """The sweep pauses, resumably, once the same error has struck in this many trials: the code has it, not they."""

    breaker: Annotated[float, Field(gt=0.0, le=1.0)] = 0.5
    """The sweep pauses, resumably, once more than this share of its ended trials failed (4 failures at least)."""


class SweepSpec(Section):
    """A sweep: the question, the experiment it varies, the space, and how to search it."""

    name: str = Field(pattern=r"^[a-z0-9-]{1,24}$")
    """Names the MLflow experiment and starts the sweep's id; by default the file's stem."""

    question: str = ""
    """What the sweep is to find out, in a sentence: the title of its report."""

    experiment: ExperimentConfig
    """The training that the space varies: a file's path, beside this one, or the sections themselves."""

    objective: Objectives
    """What to make small or large; a list of these searches for the Pareto front."""

    space: dict[str, Dimension] = Field(min_length=1)
    """Dotted keys of the experiment, each with its range or choices."""

    constraints: tuple[str, ...] = ()
    """What a configuration must satisfy to be tried: sums and products of numbers of the experiment compared with <=,
    <, >= or >, such as 'model.parameters <= 2e6' (trained numbers of the whole model) or
    'model.hidden_size * model.layers <= 512'. A proposal that does not is drawn again; a grid leaves it out."""

    search: SearchConfig = SearchConfig(seed=1)
    """Who proposes."""

    scheduler: SchedulerConfig = SchedulerConfig()
    """Who stops."""

    budget: Budget = Budget()
    """How much to try."""

    resources: Resources = Resources()
    """What one trial gets."""

    failure: FailureConfig = FailureConfig()
    """What happens when a trial dies."""

    keep: KeepConfig = KeepConfig()
    """What stays on disk."""

    reuse_actors: bool = True
    """Keep worker processes warm between trials: a trial then starts in a second instead of ten."""

    @model_validator(mode="after")
    def _conditions_make_sense(self) -> SweepSpec:
        for key, dimension in self.space.items():
            for other in dimension.when or {}:
                if other not in self.space:
                    idea = did_you_mean(other, self.space)
                    raise ValueError(f"space: '{key}' depends on '{other}', which is no dimension\n\nhint: {idea}")
        ordered(self.space)
        if self.search.name == "cmaes":
            always = [key for key, each in self.space.items() if each.kind != "choice" and not each.when]
            if len(always) < 2:
                hint = "`search: {name: tpe}` or gp take any space"
                said = f"space: cmaes needs two ranges without `when`, and here are {len(always)}"
                raise ValueError(f"{said}\n\nhint: {hint}")
        if self.search.name == "grid":
            ranges = [key for key, dimension in self.space.items() if dimension.kind != "choice"]
            if ranges:
                hint = "list its values: {choice: […]}"
                raise ValueError(f"space: a grid takes choices only, and '{ranges[0]}' is a range\n\nhint: {hint}")
        return self

    @property
    def goals(self) -> tuple[Objective, ...]:
        """The objectives, in the file's order."""
        return (self.objective,) if isinstance(self.objective, Objective) else self.objective

    @property
    def goal(self) -> Objective:
        """The first objective: what trials are ranked by, and what early stopping and checkpoints look at."""
        return self.goals[0]

    def trial_config(self, params: Mapping[str, Any], number: int, sweep_seed: int | None = None) -> ExperimentConfig:
        """The experiment of one trial: the proposal put in, its own seed, the objective monitored."""
        from gatesweep.config.digest import seed_of

        raw = copy.deepcopy(self.experiment.as_dict())
        for key, value in params.items():
            put(raw, key, value)
        if "seed" not in params:
            raw["seed"] = seed_of(self.search.seed, "trial", number)
        raw["name"] = self.name
        raw["trainer"].update(monitor=self.goal.metric, mode=self.goal.mode, threads=self.resources.cpus)
        return experiment_from(raw, place=f"trial {number}")

    def as_dict(self) -> dict[str, Any]:
        """Every value as plain JSON; dimensions without their empty fields."""
        values = self.model_dump(mode="json")
        values["space"] = {key: {k: v for k, v in dim.items() if v is not None} for key, dim in values["space"].items()}
        return values


def spec_from(raw: dict[str, Any], *, place: str, folder: Path | None = None) -> SweepSpec:
    """A checked spec from a plain mapping; an experiment given as a path is read relative to `folder`.

    Raises:
        ConfigError: what is wrong, with file, key, value and a hint.
    """
    raw = copy.deepcopy(raw)
    experiment = raw.get("experiment")
    if isinstance(experiment, dict) and isinstance(experiment.get("file"), str):
        experiment = {**_experiment_file(experiment.pop("file"), folder), **experiment}
    elif isinstance(experiment, str):
        experiment = _experiment_file(experiment, folder)
    if not isinstance(experiment, dict):
        what = "is missing" if experiment is None else f"is neither a file nor its sections, but {experiment!r}"
        raise ConfigError(f"'experiment' {what}", place=place, hint="add `experiment: ../experiments/traffic.yaml`")
    config = experiment_from(experiment, place=f"{place}: experiment")
    space = raw.get("space")
    if not space:
        raise ConfigError(
            "space: is empty", place=place, hint="add a dimension: `optimizer.lr: {log_uniform: [1e-4, 1e-1]}`"
        )
    raw["experiment"], raw["space"] = config, dotted(space) if isinstance(space, dict) else space
    spec = build(SweepSpec, raw, place=place)
    return _checked(spec, place)


def _checked(spec: SweepSpec, place: str) -> SweepSpec:
    """A metric that the task reports, a schedule that fits, and a space that the experiment can take."""
    check_goals(spec, place)
    check_schedule(spec, place)
    spec = spec.model_copy(update={"space": typed(spec.space, spec.experiment, place)})
    checked_constraints(spec.constraints, spec.space, spec.experiment, place)
    if spec.search.points:
        points = checked_points(spec.space, spec.search.points, spec.search.seed, place)
        spec = spec.model_copy(update={"search": spec.search.model_copy(update={"points": points})})
    return spec


def load_spec(path: Path, assignments: Sequence[str] = ()) -> SweepSpec:
    """The sweep in a file, with `--set` put in: `--set budget.trials=4 --set experiment.trainer.max_epochs=3`."""
    return spec_in(read_mapping(path), path, assignments)


def spec_in(raw: dict[str, Any], path: Path, assignments: Sequence[str] = ()) -> SweepSpec:
    """The sweep that a file at `path` is if it holds `raw`; it need not be there yet."""
    raw.setdefault("name", name_of(path))
    if isinstance(raw.get("experiment"), str) and any(a.startswith("experiment.") for a in assignments):
        raw["experiment"] = {"file": raw["experiment"]}
    if isinstance(raw.get("experiment"), dict) and "file" in raw["experiment"]:
        raw["experiment"] = _merged(_experiment_file(raw["experiment"].pop("file"), path.parent), raw["experiment"])
    return startable(spec_from(override(raw, assignments), place=str(path), folder=path.parent), str(path))


def startable(spec: SweepSpec, place: str) -> SweepSpec:
    """What is asked of a sweep that is to be started now; one that was started otherwise is still read.

    Raises:
        ConfigError: it looks for the worst trial, or sets an option that does nothing.
    """
    for goal in spec.goals:
        check_direction(spec.experiment.task, goal.metric, goal.mode, place=place, key="objective.mode")
    check_options(spec, place)
    return spec


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(base.get(key), dict)
        base[key] = _merged(base[key], value) if both else value
    return base


def _experiment_file(given: str, folder: Path | None) -> dict[str, Any]:
    return read_experiment((folder or Path()) / given)
