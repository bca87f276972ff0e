"""From a checkpoint, wherever it was copied, to the run that wrote it.

A checkpoint does not name its run: it is known by the SHA-256 of its `state.ckpt`. Every kept checkpoint lies on its
run beside a COMMIT with that number, and `checkpoints/kept.json` may repeat it for the best one. These are small: the
newest runs are asked first, and of a server no more than `RUNS`. What is not over yet lies in the home folder.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from gatesweep.errors import NotFound
from gatesweep.runs.lookup import KEPT
from gatesweep.track.addresses import TRIAL_ID
from gatesweep.track.store import StoredRun

if TYPE_CHECKING:
    from gatesweep.track.store import Store

STATE, COMMIT = "state.ckpt", "COMMIT"
"""As `gatesweep.train.checkpoint` calls them, which imports torch."""

RUNS = 500
"""Runs of a server that are asked, newest first; a local store is read whole."""


def state_in(path: Path) -> Path | None:
    """The state itself: the file, or the one in a checkpoint's folder."""
    if path.is_file():
        return path
    return path / STATE if (path / STATE).is_file() else None


def run_of_checkpoint(state: Path, store: Store) -> StoredRun:
    """The run that kept this checkpoint.

    Raises:
        NotFound: no run of the store has it.
    """
    sha256 = sha256_of(state)
    unfinished = _unfinished(sha256, store)
    if unfinished is not None:
        return unfinished
    runs = store.search({})[::-1]
    too_many = {run.run_id for run in [run for run in runs if _folder(run) is None][RUNS:]}
    asked = [run for run in runs if run.run_id not in too_many]
    for run in asked:
        if sha256 in _digests(run, store):
            return run
    raise NotFound(
        f"no run of the store kept this checkpoint: SHA-256 {sha256} is not among the checkpoints of "
        f"{'the newest ' if len(asked) < len(runs) else ''}{len(asked)} runs", place=str(state),
        hint="a run keeps its best checkpoint alone unless keep.checkpoints says all, and a sweep those of its "
             "keep.top best trials; for another store set MLFLOW_TRACKING_URI")


def sha256_of(path: Path) -> str:
    """Of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digests(run: StoredRun, store: Store) -> Iterator[str]:
    """SHA-256 of the checkpoints on a run; of one whose artifacts lie elsewhere, of its best."""
    folder = _folder(run)
    if folder is not None:
        for commit in folder.glob(f"checkpoints/*/{COMMIT}"):
            yield _sha256_in(commit.read_text())
        return
    try:
        kept = json.loads(store.artifact(run.run_id, KEPT).read_text())
        yield kept.get("sha256") or _sha256_in(
            store.artifact(run.run_id, f"checkpoints/{kept['best']}/{COMMIT}").read_text())
    except (NotFound, ValueError, KeyError):  # it kept none
        return


def _sha256_in(commit: str) -> str:
    try:
        return str(json.loads(commit)["sha256"])
    except (ValueError, KeyError, TypeError):  # cut by a death
        return ""


def _folder(run: StoredRun) -> Path | None:
    """The run's artifacts, where they lie on this machine."""
    parts = urlsplit(run.artifact_uri)
    return Path(unquote(parts.path)) if parts.scheme in ("file", "") else None


def _unfinished(sha256: str, store: Store) -> StoredRun | None:
    """The run or trial that is going on, or was interrupted, and has this checkpoint in the home folder still."""
    for commit in (store.home / "runs").glob(f"*/checkpoints/*/{COMMIT}"):
        if _sha256_in(commit.read_text()) == sha256:
            return store.get_run(commit.parents[2].name)
    for commit in (store.home / "sweeps").glob(f"*/trials/*/*/*/{COMMIT}"):
        if _sha256_in(commit.read_text()) == sha256:
            return store.find_run({TRIAL_ID: f"{commit.parents[4].name}/{commit.parents[2].name}"})
    return None
