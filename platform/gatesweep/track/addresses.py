"""Addresses of pages of the MLflow UI, and names that MLflow and gatesweep give to tags."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from urllib.parse import quote

from gatesweep.track import vendor

LOCAL_UI = "http://127.0.0.1:5000"

SWEEP_ID = "gatesweep.sweep_id"
TRIAL_ID = "gatesweep.trial_id"
KIND = "gatesweep.kind"  # sweep | trial | run
ATTEMPT = "gatesweep.attempt"
OUTCOME = "gatesweep.outcome"
REASON = "gatesweep.reason"
FAILURES = "gatesweep.failures"  # the class of every death, in order: "node_lost, out_of_memory"
CONFIG_DIGEST = "gatesweep.config_digest"
WEIGHTS = "gatesweep.weights"  # SHA-256 over the tensors after the last epoch
DONOR = "gatesweep.donor"  # the trial whose weights this one took last, and after which epoch: "t0003 after 4"
LOCK_DIGEST = "gatesweep.lock_sha256"
REPRODUCES = "gatesweep.reproduces"  # the run that this one repeats
REPRODUCED_BY = "gatesweep.reproduced_by"  # the newest run that repeats this one
VERDICT = "gatesweep.verdict"  # bitwise | within_tolerance | diverged, of the newest repetition
DATA_MD5 = "gatesweep.data_md5"
BEST_TRIAL = "gatesweep.best_trial"
BASELINE = "gatesweep.baseline"
SHORTENED = "gatesweep.shortened"  # parameters whose values were longer than MLflow takes

PARENT = "mlflow.parentRunId"
RUN_NAME = "mlflow.runName"
NOTE = "mlflow.note.content"
COMMIT = "mlflow.source.git.commit"
SOURCE = "mlflow.source.name"
SHARED_VIEW = "mlflow.sharedViewState."  # and a key: of an experiment, what an address with that key shows

_MODE = "workflowType=machine_learning"  # without it, MLflow 3 opens its pages for chat traces, where no run is shown
_COMPARED = 100  # runs in one address: a longer one does not open


def ui_base() -> str:
    """Where a browser finds the runs: the server that MLFLOW_TRACKING_URI names, or `gatesweep ui`'s default."""
    uri = os.environ.get("MLFLOW_TRACKING_URI", "")
    return vendor.public(uri) if vendor.is_server(uri) else LOCAL_UI


def _page(base: str | None, path: str) -> str:
    """`base` is a server, or none for `ui_base()`, or empty for an address that works within any page of the UI."""
    base = ui_base() if base is None else base
    joined = "&" if "?" in path else "?"
    return f"{base.rstrip('/')}{'/' if base else ''}#/{path}{joined}{_MODE}"


def experiment_address(experiment_id: str, base: str | None = None) -> str:
    """The page of an experiment's runs: sweeps folded, single runs."""
    return _page(base, f"experiments/{quote(experiment_id, safe='')}/runs")


def run_address(experiment_id: str, run_id: str, base: str | None = None) -> str:
    """The page of one run."""
    return _page(base, f"experiments/{quote(experiment_id, safe='')}/runs/{quote(run_id, safe='')}")


def artifact_address(experiment_id: str, run_id: str, artifact: str, base: str | None = None) -> str:
    """The page of one run, showing one of its artifacts."""
    run = f"experiments/{quote(experiment_id, safe='')}/runs/{quote(run_id, safe='')}"
    return _page(base, f"{run}/artifactPath/{quote(artifact)}")


def trials_address(experiment_id: str, sweep_id: str, base: str | None = None) -> str:
    """A sweep's trials as a table, by the objective (see `shared_view`)."""
    return _page(base, f"experiments/{quote(experiment_id, safe='')}/runs?viewStateShareKey={quote(sweep_id, safe='')}")


def charts_address(experiment_id: str, sweep_id: str, base: str | None = None) -> str:
    """A sweep's trials as parallel coordinates, every dimension and the objective, and the objective by epoch."""
    return f"{trials_address(experiment_id, sweep_id, base)}&compareRunsMode=CHART"


def compare_address(experiment_id: str, run_ids: Sequence[str], base: str | None = None) -> str:
    """The comparison of several runs: parallel coordinates, scatter, contours, and the runs side by side."""
    runs, experiments = (quote(json.dumps(ids, separators=(",", ":")), safe="")
                         for ids in (list(run_ids)[:_COMPARED], [experiment_id]))
    return _page(base, f"compare-runs?runs={runs}&experiments={experiments}")
