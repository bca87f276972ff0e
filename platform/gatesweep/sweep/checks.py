"""What a sweep's parts must be to each other, beyond what each section knows of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from gatesweep.config.loader import did_you_mean
from gatesweep.errors import ConfigError
from gatesweep.sweep.options import USED_BY, SchedulerConfig, SearchConfig
from gatesweep.tasks.registry import epoch_metrics

if TYPE_CHECKING:
    from gatesweep.sweep.spec import SweepSpec

WITHOUT_RESULTS = ("qmc", "random", "grid")
FOR_SEVERAL = ("tpe", "gp", "nsga2", "random", "grid", "qmc")
WITH_RUNGS = ("asha", "hyperband")
POPULATIONS = ("pbt", "pb2")


def check_goals(spec: SweepSpec, place: str) -> None:
    """Objectives that the task reports, and of which the rest of the file can take several.

    Raises:
        ConfigError: one is not reported, or there are several where only one makes sense.
    """
    experiment, names = spec.experiment, [goal.metric for goal in spec.goals]
    metrics = epoch_metrics(experiment.task, experiment.data, experiment.model)
    for name in names:
        if metrics and name not in metrics:
            raise ConfigError(
                f"objective.metric: {experiment.task} reports no '{name}' while it trains, as it is configured",
                place=place,
                hint=did_you_mean(name, sorted(metrics)),
            )
    if len(names) == 1:
        return
    twice = next((name for name in names if names.count(name) > 1), None)
    problems = {
        f"objective: '{twice}' is there twice": twice,
        f"search.name: {spec.search.name} takes one objective": spec.search.name not in FOR_SEVERAL,
        f"scheduler.name: {spec.scheduler.name} takes one objective": spec.scheduler.name != "none",
        "budget.target: takes one objective": spec.budget.target is not None,
        "budget.no_improvement: takes one objective": spec.budget.no_improvement is not None,
    }
    hints = {"search": "`search: {name: nsga2}` or tpe", "scheduler": "`scheduler: {name: none}`"}
    for problem, is_there in problems.items():
        if is_there:
            more = "" if twice else f", and here are {len(names)}"
            raise ConfigError(f"{problem}{more}", place=place, hint=hints.get(problem.partition(".")[0]))


def check_schedule(spec: SweepSpec, place: str) -> None:
    """A schedule that fits the experiment's epochs and the search.

    Raises:
        ConfigError: it does not.
    """
    schedule, max_epochs = spec.scheduler, spec.experiment.trainer.max_epochs
    if spec.experiment.changes:
        raise ConfigError("experiment.changes: trials of a sweep, and a run on a cluster, keep the values that they "
                          "begin with", place=place, hint="`gatesweep run` on this machine makes changes; in a sweep "
                          "`scheduler: {name: pbt}` finds them")  # fmt: skip
    if spec.search.learn_from == "rung" and schedule.name not in WITH_RUNGS:
        raise ConfigError(f"search.learn_from: rung needs a schedule with rungs, and scheduler.name is {schedule.name}",
                          place=place, hint="`scheduler: {name: hyperband}` or asha")  # fmt: skip
    if schedule.name == "none":
        return
    if schedule.name in POPULATIONS:
        check_population(spec, place)
        return
    if schedule.grace_epochs > max_epochs:
        raise ConfigError(
            f"scheduler.grace_epochs: {schedule.grace_epochs} is more than the experiment's max_epochs {max_epochs}",
            place=place,
        )
    room = len(schedule.milestones(max_epochs))
    if (schedule.brackets or 1) > room:
        raise ConfigError(
            f"scheduler.brackets: {schedule.brackets} do not fit into the experiment's {max_epochs} epochs",
            place=place,
            hint=f"with this grace_epochs and reduction at most {room}",
        )
    if "trainer.max_epochs" in spec.space:
        raise ConfigError(
            f"space: {schedule.name} needs the same 'trainer.max_epochs' for every trial",
            place=place,
            hint="take it out of the space, or use `scheduler: {name: none}`",
        )


def check_population(spec: SweepSpec, place: str) -> None:
    """A population that can exchange: a start for each trial, trials of one length, values that may change.

    Raises:
        ConfigError: it cannot.
    """
    schedule, epochs = spec.scheduler, spec.experiment.trainer.max_epochs
    if spec.search.name not in WITHOUT_RESULTS:
        raise ConfigError(
            f"search.name: {spec.search.name} learns from trials that are over, and with {schedule.name} all start "
            "at once", place=place, hint=f"`search: {{name: qmc}}`, or {', '.join(WITHOUT_RESULTS[1:])}")  # fmt: skip
    if schedule.interval_epochs >= epochs:
        raise ConfigError(
            f"scheduler.interval_epochs: {schedule.interval_epochs} leaves no exchange in the experiment's {epochs} "
            "epochs", place=place, hint="a fifth to a twentieth of trainer.max_epochs")  # fmt: skip
    if spec.budget.trials < 2:
        raise ConfigError("budget.trials: one trial has none to copy", place=place, hint="8 or more")
    if spec.budget.no_improvement is not None:
        raise ConfigError(f"budget.no_improvement: the trials of {schedule.name} all end together", place=place,
                          hint="budget.target or wall_time")  # fmt: skip
    if "trainer.max_epochs" in spec.space:
        raise ConfigError(f"space: {schedule.name} needs the same 'trainer.max_epochs' for every trial", place=place,
                          hint="take it out of the space")  # fmt: skip
    _check_values(spec, place)


def _check_values(spec: SweepSpec, place: str) -> None:
    """Something may change; what may not has few values, or every trial would be alone with its own."""
    from gatesweep.sweep.mutable import mutable, why_not

    for key in spec.scheduler.mutate or ():
        if key not in spec.space:
            raise ConfigError(f"scheduler.mutate: '{key}' is no dimension", place=place,
                              hint=did_you_mean(key, list(spec.space)))  # fmt: skip
    changing = mutable(spec)
    if not changing:
        raise ConfigError(f"space: no dimension can change while a model trains, which is what {spec.scheduler.name} "
                          "does", place=place, hint="optimizer.lr, optimizer.weight_decay, model.dropout, …; or "
                          "`scheduler: {name: asha}`")  # fmt: skip
    for key, dimension in spec.space.items():
        if key not in changing and dimension.kind != "choice":
            raise ConfigError(
                f"space: '{key}' {why_not(spec, key)}, and no two trials would have the same value of a range, to copy "
                "each other", place=place, hint="fix it in the experiment, or give a few values: {choice: […]}"
            )  # fmt: skip


def check_options(spec: SweepSpec, place: str) -> None:
    """No option is set where it does nothing.

    Raises:
        ConfigError: one is.
    """
    for problem in (_idle("search", spec.search), _idle("scheduler", spec.scheduler)):
        if problem:
            raise ConfigError(problem[0], place=place, hint=problem[1])
    if spec.search.warm_start and spec.search.separable:
        raise ConfigError("search.separable: begins anew, and search.warm_start would do nothing", place=place,
                          hint="leave one of them out")  # fmt: skip
    if spec.resources.most_workers > 1:
        raise ConfigError("resources.workers: input should be less than or equal to 1", place=place)
    if spec.budget.gpu_hours is not None and not spec.resources.gpus:
        raise ConfigError("budget.gpu_hours: does nothing where trials get no GPU", place=place,
                          hint="cpu_hours, or `resources: {gpus: 1}`")  # fmt: skip


def _idle(section: Literal["search", "scheduler"], config: SearchConfig | SchedulerConfig) -> tuple[str, str] | None:
    """The first option that is set and does nothing: what to say of it, and a hint."""
    for option, names in USED_BY[section].items():
        value, default = getattr(config, option), type(config).model_fields[option].default
        if value != default and config.name not in names:
            shown = "none" if default is None else default
            return (
                f"{section}.{option}: {value!r} does nothing with `{section}.name: {config.name}`",
                f"leave it out (or --set {section}.{option}={shown}); it is for {', '.join(names)}",
            )
    return None
