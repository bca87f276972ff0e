"""A small sweep's log, and what a store holds of a sweep in words that do not depend on ids."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from gatesweep.track.git import Tree
from gatesweep.track.lineage import Lock
from gatesweep.track.projection import Projection
from gatesweep.track.records import Record
from gatesweep.track.store import Store
from gatesweep.track.view import PARENT

from .conftest import Data

NAME = "traffic"
LOCK = Lock(config={"seed": 1}, tree=Tree(commit="c0ffee", dirty=True, patch="--- a\n+++ b\n"), seeds={"seed": 1})


def history(sweep_id: str = "s-1") -> list[Record]:
    """Four trials: completed, pruned, failed on a second attempt, interrupted by a stop and resumed; then the end."""
    log: list[Record] = []

    def add(event: str, **fields: Any) -> None:
        log.append({"event": event, **fields, "ts": 1_700_000_000_000 + 1000 * len(log)})

    def result(trial: str, attempt: int, epoch: int, value: float, outcome: str | None = None) -> None:
        add("result", trial=trial, attempt=attempt, epoch=epoch, metrics={"val/mae": value, "time/epoch_s": 1.0},
            checkpoint=None, decision="stop" if outcome == "pruned" else "continue", final=outcome == "completed",
            outcome=outcome, weights=f"of {trial} after {epoch}")

    add("sweep", sweep_id=sweep_id, name=NAME, spec={"objective": {"metric": "val/mae", "mode": "min"}})
    for number in range(3):
        add("new", trial=f"t{number:04d}", number=number, params={"model.hidden_size": 32 * (number + 1), "lr": 0.1})
        add("start", trial=f"t{number:04d}", attempt=1, epoch=0)
    result("t0000", 1, 1, 3.0)
    result("t0001", 1, 1, 9.0, "pruned")
    add("fail", trial="t0002", attempt=1, reason="the worker died", final=False)
    result("t0000", 1, 2, 2.0, "completed")
    add("start", trial="t0002", attempt=2, epoch=0)
    add("fail", trial="t0002", attempt=2, reason="the loss is no number", final=True)
    add("new", trial="t0003", number=3, params={"model.hidden_size": 8, "lr": 0.2})
    add("start", trial="t0003", attempt=1, epoch=0)
    result("t0003", 1, 1, 5.0)
    add("stop", reason="interrupted")
    add("resume")
    add("start", trial="t0003", attempt=2, epoch=1)
    result("t0003", 2, 2, 4.0, "completed")
    add("best", trial="t0000", test={"test/mae": 2.5}, baseline={"name": "last value", "metrics": {"test/mae": 5.0}})
    add("done", outcomes={"completed": 2, "pruned": 1, "failed": 1, "stopped": 0})
    return log


def trial_config(params: Mapping[str, Any], number: int) -> dict[str, Any]:
    return {"name": "traffic", "model": {"hidden_size": params["model.hidden_size"]}, "seed": 100 + number}


def projection(store: Store, sweep_id: str = "s-1", said: list[str] | None = None) -> Projection:
    heard = [] if said is None else said
    return Projection(store, sweep_id, NAME, "which one?", trial_config, LOCK, [Data()], heard.append)


def contents(store: Store, sweep_id: str = "s-1") -> dict[str, Any]:
    """Everything that the store shows of a sweep: by run name, with every row of every table, and the artifacts."""
    assert store.file is not None
    with closing(sqlite3.connect(store.file)) as database:
        found = database.execute(
            "SELECT run_uuid, name, status, start_time, end_time, artifact_uri FROM runs JOIN tags USING (run_uuid) "
            "WHERE lifecycle_stage = 'active' AND key = 'gatesweep.sweep_id' AND value = ?", [sweep_id]).fetchall()
        names = {run_id: name.replace(sweep_id, "SWEEP") for run_id, name, *_ in found}
        assert len(set(names.values())) == len(found), f"a run is doubled: {sorted(names.values())}"
        shown = {}
        for run_id, name, status, started, ended, uri in found:
            def ask(question: str, run_id: str = run_id) -> list[tuple[Any, ...]]:
                return sorted(database.execute(question, [run_id]).fetchall())

            tags = dict(ask("SELECT key, value FROM tags WHERE run_uuid = ?"))
            for key, value in tags.items():
                for other, plain in names.items():
                    value = value.replace(other, plain)
                tags[key] = value.replace(sweep_id, "SWEEP")
            folder = Path(uri.removeprefix("file://").replace("%20", " "))
            shown[name.replace(sweep_id, "SWEEP")] = {
                "status": status, "started": started, "ended": ended,
                "tags": {key: value for key, value in tags.items() if value},
                "params": ask("SELECT key, value FROM params WHERE run_uuid = ?"),
                "metrics": ask("SELECT key, step, value, timestamp FROM metrics WHERE run_uuid = ?"),
                "latest": ask("SELECT key, step, value FROM latest_metrics WHERE run_uuid = ?"),
                "inputs": ask("SELECT name, digest FROM inputs JOIN datasets ON source_id = dataset_uuid "
                              "WHERE destination_id = ?"),
                "files": {path.name: path.read_text() for path in sorted(folder.glob("*"))},
            }
    return shown


def parent_of(projected: Projection) -> str:
    run_id = projected.run_id(PARENT)
    assert run_id is not None
    return run_id
