"""Ending a sweep, or one of its trials: by a request in its place, by its runner, or by both."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Literal

from gatesweep.errors import ClusterError, ConfigError, StorageError
from gatesweep.launch.followed import Followed, surroundings
from gatesweep.launch.runner import Job
from gatesweep.sweep.control import ask

How = Literal["epoch", "drain", "now"]
PATIENCE_S = 15.0
"""How long a driver that is to end at once may take before its job is stopped."""
_MEANS: dict[str, str] = {
    "drain": "what runs is trained to its end, nothing new starts",
    "epoch": "every trial stops after its next epoch",
    "now": "at once",
}


def stop(followed: Followed, how: How, trial: str | None, say: Callable[[str], None]) -> dict[str, Any]:
    """Ask for it; returns what `gatesweep stop --json` prints.

    Raises:
        ClusterError: there is nothing to stop, or neither storage nor cluster can be reached.
        ConfigError: the sweep has no such trial, nor will have.
    """
    job = followed.job()
    begun = _begun(followed, job, trial)
    asked = begun and _ask(followed, how, trial, say)
    signalled = False
    if trial is None and job is not None and (how == "now" or not asked):
        signalled = _end_job(followed, job, waits=asked, say=say)
    elif not asked:
        why = "its storage cannot be reached from here" if begun else "it has not begun"
        raise ClusterError(f"{'trial' if trial else 'the sweep'} cannot be stopped: {why}", place=followed.sweep_id,
                           hint="run this on a machine that sees the storage" if begun else "wait a moment")
    # however a trial is stopped, its next report ends it
    means = "it stops at its next epoch" if trial else _MEANS[how]
    target = f"trial {trial}" if trial else "the sweep"
    say(f"{target} is asked to stop: {means}" if asked else f"the job of {target} is interrupted")
    return {"sweep_id": followed.sweep_id, "trial": trial, "how": how, "asked": asked, "signalled": signalled}


def _begun(followed: Followed, job: Job | None, trial: str | None) -> bool:
    """Whether a driver has opened the log, and so listens. What has ended is refused."""
    try:
        progress = followed.progress()
    except StorageError:
        return True
    state = followed.state(progress, job)
    if state in ("done", "stopped", "interrupted", "failed"):
        hint = {"done": f"gatesweep report {followed.sweep_id}", "failed": f"gatesweep logs {followed.sweep_id}"}
        raise ClusterError(f"there is nothing to stop: the sweep is {state}", place=followed.sweep_id,
                           hint=hint.get(state, f"gatesweep resume {followed.sweep_id} goes on with it"))
    if trial and trial in progress.trials and progress.trials[trial].outcome:
        raise ClusterError(f"there is nothing to stop: trial {trial} is {progress.trials[trial].outcome}",
                           place=followed.sweep_id, hint=f"gatesweep status {followed.sweep_id}")
    if trial and trial not in progress.trials:
        _refuse_beyond(followed, trial, progress.asked)
    return progress.asked > 0


def _refuse_beyond(followed: Followed, trial: str, asked: int) -> None:
    """A trial that the budget has no place for."""
    asked = asked or int(followed.spec["budget"]["trials"])
    if int(trial.removeprefix("t")) >= asked:
        raise ConfigError(f"there is no trial {trial}: {followed.sweep_id} has {asked}, t0000 to t{asked - 1:04d}",
                          place="--trial", hint=f"gatesweep status {followed.sweep_id} shows those that run")


def _ask(followed: Followed, how: How, trial: str | None, say: Callable[[str], None]) -> bool:
    """Whether the request lies where the driver looks."""
    try:
        with surroundings(followed.cluster):
            ask(followed.place, {"stop": how, "trial": trial})
    except StorageError as error:
        say(f"{str(error).partition(chr(10))[0]}")
        return False
    return True


def _end_job(followed: Followed, job: Job, *, waits: bool, say: Callable[[str], None]) -> bool:
    """Interrupt a driver that has not ended by itself; whether that was needed."""
    runner, attempt = followed.runner, followed.attempt
    if runner is None or attempt is None:
        return False
    deadline_s = time.monotonic() + (PATIENCE_S if waits else 0.0)
    while job.alive and time.monotonic() < deadline_s:
        time.sleep(0.5)
        job = runner.job(attempt)
    if not job.alive and waits:
        return False
    say(f"stopping {attempt.job_id}")
    runner.stop(attempt)
    return True
