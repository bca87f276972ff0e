"""From what a user calls a run to the run, its configuration and its checkpoint.

RUN = an MLflow run id | a trial id, traffic-20261123-ab12cd/t0007 | best:<sweep_id>
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from gatesweep.config.yaml_file import read_mapping
from gatesweep.errors import NotFound
from gatesweep.runs.experiment import ExperimentConfig, experiment_from
from gatesweep.track.addresses import BEST_TRIAL, PARENT
from gatesweep.track.store import Store, StoredRun

TRIAL = re.compile(r"^[a-z0-9-]+-\d{8}-[0-9a-f]{6}/t\d{4,}$|^[a-z0-9-]+/t\d{4,}$")
KEPT = "checkpoints/kept.json"
"""Names the best of a run's kept checkpoints, and its file's hash: `{"best": "e0007", "sha256": "…"}`."""


def find(name: str, store: Store) -> StoredRun:
    """The run that `name` means.

    Raises:
        NotFound: the store has none.
    """
    if name.startswith("best:"):
        sweep_id = name.removeprefix("best:")
        parents = [run for run in store.runs_of(_safe(sweep_id)) if PARENT not in run.tags]
        if not parents:
            raise NotFound(f"no sweep '{sweep_id}' in the store", hint="gatesweep list shows the sweeps")
        best = parents[0].tags.get(BEST_TRIAL)
        if best is None:
            raise NotFound(f"sweep '{sweep_id}' has no best trial yet", hint=f"gatesweep resume {sweep_id} finishes it")
        name = f"{sweep_id}/{best.rpartition('/')[2]}"
    if TRIAL.match(name):
        found = store.find_run({"gatesweep.trial_id": name})
        if found is None:
            raise NotFound(f"no trial '{name}' in the store", hint="trials are called <sweep_id>/t0007")
        return found
    return store.get_run(name)


def _safe(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9-]+", name):
        raise NotFound(f"'{name}' is no sweep id", hint="for example traffic-20261123-ab12cd")
    return name


def config_of(run: StoredRun, store: Store) -> ExperimentConfig:
    """The whole configuration that a run was trained with, from its `config.yaml`."""
    path = store.artifact(run.run_id, "config.yaml")
    return experiment_from(read_mapping(path), place=f"run {run.run_id}: config.yaml")


def checkpoint_of(run: StoredRun, store: Store) -> Path:
    """The folder of a run's kept checkpoint.

    Raises:
        NotFound: none was kept.
    """
    try:
        best = json.loads(store.artifact(run.run_id, KEPT).read_text())["best"]
    except NotFound:
        raise NotFound(
            f"run {run.run_id} kept no checkpoint",
            hint="keep.top and keep.checkpoints say which runs keep one; train it again with gatesweep run",
        ) from None
    return store.artifact(run.run_id, f"checkpoints/{best}")
