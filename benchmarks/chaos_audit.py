"""A sweep of ours, audited: its log, MLflow's database, and trainings of the same configurations that nobody disturbed.

A trial is over when the log says so. An epoch is right when log and MLflow both hold the very numbers that an
undisturbed training gives. A proposal or decision is right when a searcher and a scheduler that have seen everything,
in the order of the log, make the same one.
"""

from __future__ import annotations

import functools
import json
import tempfile
from pathlib import Path
from typing import Any

from chaos_counts import Counts, Runs, read_runs
from chaos_sweep import METRIC
from ray_hosts import PYTHON, Bed

from gatesweep.runs.build import prepare
from gatesweep.runs.experiment import experiment_from
from gatesweep.storage import Place, place
from gatesweep.sweep.replay import replay
from gatesweep.sweep.spec import spec_from
from gatesweep.track.addresses import KIND, SWEEP_ID, TRIAL_ID
from gatesweep.track.log import read
from gatesweep.train.callbacks import EpochReport
from gatesweep.train.fit import fit

Epochs = dict[int, dict[str, float]]
COPY = """
import pathlib, sys
from gatesweep.storage import place
source, target = place(sys.argv[1]), pathlib.Path(sys.argv[2])
target.mkdir(parents=True, exist_ok=True)
for name in source.names():
    if name.startswith("log.") and "/" not in name:
        (target / name).write_bytes(source.read(name))
"""


def log_of(bed: Bed, sweep_id: str) -> Place:
    """The sweep's log, on this side of the hosts: an object store is read by the user's machine."""
    address = f"{bed.storage}/sweeps/{sweep_id}"
    if "://" not in bed.storage:
        return place(address)
    bed.user.call([PYTHON, "-c", COPY, address, str(bed.network.here / "logs" / sweep_id)], bed.environment)
    return place(bed.user.folder / "logs" / sweep_id)


def records_of(bed: Bed, sweep_id: str) -> list[dict[str, Any]]:
    """What the log holds now; nothing where the driver has not begun."""
    where = log_of(bed, sweep_id)
    return read(where) if where.exists("log.jsonl") else []


def audit(bed: Bed, sweep_id: str, asked: int) -> Counts:
    """After the sweep's end."""
    where = log_of(bed, sweep_id)
    records = read(where) if where.exists("log.jsonl") else []
    of_the_sweep = (SWEEP_ID, sweep_id)
    runs = read_runs(bed.tracking.database, TRIAL_ID, METRIC, belonging_to=of_the_sweep)
    parents = read_runs(bed.tracking.database, KIND, METRIC, belonging_to=of_the_sweep).by_trial.get("sweep", [])
    over = {f"{sweep_id}/{record['trial']}" for record in records if _ends(record)}
    return Counts(
        asked=asked,
        lost=asked - len(over & runs.by_trial.keys()),
        doubled=sum(len(found) - 1 for found in runs.by_trial.values()) + abs(len(parents) - 1),
        doubled_points=runs.doubled_points,
        orphaned=sum(status == "RUNNING" for status in runs.status.values()),
        other_metrics=_other_metrics(sweep_id, records, runs),
        other_decisions=len(replay(where)[1]) if records else 0,
    )


def _ends(record: dict[str, Any]) -> bool:
    if record["event"] == "fail":
        return bool(record["final"])
    return record["event"] in ("result", "end") and bool(record.get("outcome"))


def _other_metrics(sweep_id: str, records: list[dict[str, Any]], runs: Runs) -> int:
    """(trial, epoch) for which log, MLflow and an undisturbed training do not all say the same."""
    if not records:
        return 0
    spec = spec_from(records[0]["spec"], place=sweep_id)
    params = {record["trial"]: record for record in records if record["event"] == "new"}
    wrong = 0
    for record in records:
        if record["event"] == "result":
            trial, epoch = record["trial"], record["epoch"]
            config = spec.trial_config(params[trial]["params"], params[trial]["number"]).as_dict()
            expected = undisturbed(json.dumps(config))[epoch]
            logged = _lasting(record["metrics"])
            shown = [runs.metrics[run].get(epoch) for run in runs.by_trial.get(f"{sweep_id}/{trial}", [])]
            wrong += logged != expected or shown != [expected[METRIC]] * len(shown)
    return wrong


@functools.lru_cache(maxsize=256)
def undisturbed(config: str) -> Epochs:
    """Every epoch of a training of this configuration in this process."""
    raw = json.loads(config)
    raw["data"]["pause_s"] = 0.0
    task, recipe = prepare(experiment_from(raw, place="undisturbed"))
    found: Epochs = {}

    def keep(report: EpochReport) -> None:
        found[report.epoch] = _lasting(report.metrics)

    with tempfile.TemporaryDirectory() as folder:
        fit(task, recipe, folder=Path(folder), on_epoch=keep)
    return found


def _lasting(metrics: dict[str, float]) -> dict[str, float]:
    """Without what a clock measured."""
    return {name: value for name, value in metrics.items() if not name.startswith("time/")}
