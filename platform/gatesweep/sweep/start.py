"""A new sweep: checked and proven on a real batch first; only then are its folder, log and parent run made.

It comes in two steps, `start(...)` and the call of what that returns, so that Ray can start beside the first while
nothing has been made yet.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from gatesweep.errors import ConfigError
from gatesweep.runs.disk import check_disk
from gatesweep.runs.initial import resolved
from gatesweep.storage import Place
from gatesweep.sweep import cluster
from gatesweep.sweep.admission import Admission
from gatesweep.sweep.session import Hooks, Opening, Say, Session, opened, place_of, working_copy
from gatesweep.sweep.spec import SweepSpec
from gatesweep.sweep.warm_start import take_over
from gatesweep.sweep.where import Where
from gatesweep.track.lineage import collect
from gatesweep.track.log import SweepLog
from gatesweep.track.records import VERSION, Record
from gatesweep.track.store import Store

if TYPE_CHECKING:
    from gatesweep.tasks.base import Task

DECIDING = ("ray", "optuna", "cmaes", "torch", "pytorch-lightning", "numpy", "scipy")
"""Packages whose version changes proposals, decisions or metrics; named in the log's first line."""


def new_id(name: str) -> str:
    """`<name>-<yyyymmdd>-<6 hex>`."""
    return f"{name}-{time.strftime('%Y%m%d')}-{secrets.token_hex(3)}"


def check(spec: SweepSpec, sweep_id: str, home: Path, where: Where = Where()) -> Place:
    """Everything that can be refused without loading data or starting a process; returns the sweep's place.

    Raises:
        UserError: an id in use, impossible resources, no disk.
    """
    at = place_of(sweep_id, home, where)
    if at.names():
        raise ConfigError(
            f"the sweep '{sweep_id}' is there already",
            place="--id",
            hint=f"`gatesweep resume {sweep_id}` goes on with it; leave --id out for a new one",
        )
    if not where.shared:
        cluster.check(spec.resources.cpus, spec.resources.gpus)
    check_disk(at.local or home)
    return at


def proven(spec: SweepSpec, say: Say) -> Task:
    """The first trial's task, after one real batch of training and one of validation.

    Raises:
        ConfigError: the objective is not among what was reported; constraints leave nothing to try.
        UserError: data missing, altered or unusable.
    """
    from gatesweep.runs.build import prepare  # torch and Lightning: imported while Ray starts
    from gatesweep.train.fit import prove

    experiment = spec.trial_config({}, 0)
    task, recipe = prepare(experiment, say=say)
    reported = prove(task, recipe)
    missing = next((goal.metric for goal in spec.goals if goal.metric not in reported), None)
    if missing:
        raise ConfigError(
            f"objective.metric: {experiment.task} reported no '{missing}' on a real batch",
            place=spec.name,
            hint=f"it reports: {', '.join(sorted(reported))}",
        )
    for line in Admission(spec, task).must_be_possible():
        say(line)
    return task


def start(
    spec: SweepSpec, sweep_id: str, open_store: Callable[[], Store], hooks: Hooks, home: Path, where: Where = Where()
) -> Opening:
    """Prove a new sweep. What is returned makes its folder, log and parent run.

    Raises:
        UserError: nothing was made.
    """
    at = check(spec, sweep_id, home, where)
    if spec.experiment.init_from is not None:
        spec = spec.model_copy(update={"experiment": resolved(spec.experiment, open_store())})
    task = proven(spec, hooks.say)
    store = open_store()
    if store.find_run({"gatesweep.sweep_id": sweep_id}):
        raise ConfigError(
            f"the tracking store has a sweep '{sweep_id}' already", place="--id", hint="leave --id out for a new one"
        )
    data_md5 = {dataset.name: dataset.md5 for dataset in task.datasets}
    taken = take_over(spec, data_md5, home, where)
    for line in taken.notes:
        hooks.say(f"warm start: {line}")
    lock = collect(spec.as_dict(), task.datasets, {"search": spec.search.seed, "experiment": spec.experiment.seed})
    first: Record = {
        "event": "sweep",
        "version": VERSION,
        "sweep_id": sweep_id,
        "name": spec.name,
        "spec": spec.as_dict(),
        "data": data_md5,
        "versions": {package: version(package) for package in DECIDING},
        **({"warm_start": taken.trials} if taken.trials else {}),
    }

    def make() -> Session:
        at.write("lock.json", lock.text().encode())  # the place tells what is wrong with it
        if lock.diff:
            at.write("diff.patch", lock.diff.encode())
        folder = working_copy(at, sweep_id, home)
        folder.mkdir(parents=True, exist_ok=True)
        log = SweepLog(at, create=True)
        log.append(first)
        return opened(spec, sweep_id, at, folder, log, store, lock, task, hooks, where)

    return make
