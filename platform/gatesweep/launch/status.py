"""How a sweep is: from its log, else from the tracking store, and what its runner says of its driver."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from gatesweep.errors import StorageError, StoreError
from gatesweep.launch.followed import Followed, surroundings
from gatesweep.launch.progress import KINDS, Progress, Trial
from gatesweep.launch.runner import Job
from gatesweep.track import addresses
from gatesweep.track.stored import StoredRun

MS = 1000


def status(followed: Followed, say: Callable[[str], None]) -> dict[str, Any]:
    """What `gatesweep status --json` prints.

    Raises:
        StorageError: neither the storage nor the tracking server can be read from here.
    """
    job = followed.job()
    try:
        progress = followed.progress()
    except StorageError as error:
        if followed.cluster is None or followed.cluster.tracking is None:
            raise
        say(f"{str(error).partition(chr(10))[0]}; asking the tracking server")
        return _framed(followed, job, _from_tracker(followed, job))
    return _framed(followed, _in_the_logs_words(followed, progress, job), _from_log(followed, progress, job))


def _in_the_logs_words(followed: Followed, progress: Progress, job: Job | None) -> Job | None:
    """A driver that wrote the end of its sweep has not failed, whatever its exit code made of it."""
    newest = followed.submitted.newest if followed.submitted else None
    wrote = progress.records > (newest.seen if newest else 0)
    if job is None or job.alive or job.state == "unknown" or not (progress.ended and wrote):
        return job
    return Job(job.job_id, "ended" if progress.ended == "done" else "stopped")


def _framed(followed: Followed, job: Job | None, found: dict[str, Any]) -> dict[str, Any]:
    submitted = followed.submitted
    return {
        "sweep_id": followed.sweep_id,
        "job_id": job.job_id or None if job else None,
        **found,
        "job": {"state": job.state, "message": job.message} if job else None,
        "cluster": followed.cluster.name if followed.cluster else None,
        "attempts": len(submitted.attempts) if submitted else None,
        "place": followed.place.address,
    }


def _from_log(followed: Followed, progress: Progress, job: Job | None) -> dict[str, Any]:
    state = followed.state(progress, job)
    if not progress.asked and followed.submitted:  # no record yet
        progress = replace(progress, asked=followed.spec["budget"]["trials"])
    live = state in ("running", "open")
    return {
        "state": state,
        "trials": progress.counts(live=live),
        "best": progress.best(),
        "reason": progress.reason or None,
        "running": [_row(trial) for trial in (progress.running() if live else [])],
        "failures": dict(progress.failures),
        "question": progress.question,
        "metric": progress.metric,
        "unsent": state == "done" and followed.unsent(),
        "last_record_s": progress.last_ms // MS or None,
        "from": "log",
    }


def _row(trial: Trial) -> dict[str, Any]:
    return {"trial": trial.name, "attempt": trial.attempt, "epoch": trial.epoch, "node": trial.node or None,
            "best": trial.best}  # fmt: skip


def _from_tracker(followed: Followed, job: Job | None) -> dict[str, Any]:
    """The same from MLflow, where runs are found by tag: a little behind the log, and without what is in it alone."""
    from gatesweep.track.store import open_store

    assert followed.cluster is not None, "only a cluster has a tracking server of its own"
    with surroundings(followed.cluster):
        os.environ["MLFLOW_TRACKING_URI"] = str(followed.cluster.tracking)
        try:
            runs = open_store(followed.home).runs_of(followed.sweep_id)
        except StoreError as error:
            raise StorageError(f"nor can the tracking server be read from here: {error.message}",
                               place=followed.place.address, hint=error.hint) from None
    return _from_runs(runs, job)


def _from_runs(runs: list[StoredRun], job: Job | None) -> dict[str, Any]:
    trials = [run for run in runs if run.tags.get(addresses.KIND) == "trial"]
    counts = dict.fromkeys(KINDS, 0)
    for run in trials:
        kind = run.tags.get(addresses.OUTCOME) or ("running" if run.status == "RUNNING" else "stopped")
        counts[kind if kind in counts else "waiting"] += 1
    parent = next((run for run in runs if run.tags.get(addresses.KIND) == "sweep"), None)
    ended = {"FINISHED": "done", "FAILED": "done", "KILLED": "stopped"}.get(parent.status if parent else "")
    alive = "running" if job and job.alive else "interrupted"
    best = parent.tags.get(addresses.BEST_TRIAL) if parent else None
    return {
        "state": ended or ("pending" if not runs else alive),
        "trials": {"asked": None, "over": sum(counts[kind] for kind in KINDS[:3]), **counts},
        "best": {"trial_id": best} if best else None,
        "reason": None,
        "running": [],
        "failures": {},
        "from": "tracking",
    }
