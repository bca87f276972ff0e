"""The sweeps of a home folder, each from its log alone: no torch, no Ray, no tracking store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gatesweep.errors import LogError
from gatesweep.storage import Place, place
from gatesweep.track.lease import current
from gatesweep.track.log import read
from gatesweep.track.records import Record, goal_of


def sweeps(home: Path) -> list[dict[str, Any]]:
    """A row a sweep, the newest last; a damaged log is a row that says so."""
    folders = [path.parent for path in (home / "sweeps").glob("*/log.jsonl")]
    return [_row(folder) for folder in sorted(folders, key=_written)]


def _written(folder: Path) -> float:
    """When the log was last appended to."""
    return max(path.stat().st_mtime for path in folder.glob("log*.jsonl"))


def _row(folder: Path) -> dict[str, Any]:
    row = {"sweep_id": folder.name, "state": "empty", "over": 0, "trials": 0, "metric": "", "best": None}
    at = place(folder)
    try:
        records = read(at)
        state = state_of(records)
        state = _open_state(at) if records and state == "open" else state
    except LogError:
        return {**row, "state": "damaged log"}
    if not records:
        return row
    spec = records[0]["spec"]
    metric, mode = goal_of(spec) or ("", "min")
    values = [r["metrics"][metric] for r in records if r["event"] == "result"]
    trials = next(
        (r["budget"]["trials"] for r in reversed(records) if r["event"] == "extend"), spec["budget"]["trials"]
    )
    best = (min if mode == "min" else max)(values, default=None)
    return {
        **row,
        "state": state,
        "over": sum(_ends(r) for r in records),
        "trials": trials,
        "metric": metric,
        "best": best,
    }


def _open_state(at: Place) -> str:
    """As `gatesweep status` says it: whether somebody still holds the log."""
    return "interrupted" if current(at).is_free else "running"


def _ends(record: Record) -> bool:
    """Whether a record gives a trial its outcome."""
    return bool(
        record.get("outcome") if record["event"] in ("result", "end") else record["event"] == "fail" and record["final"]
    )


def state_of(records: list[Record]) -> str:
    """done, stopped, or open: running somewhere, or killed and resumable."""
    for record in reversed(records):
        if record["event"] in ("done", "stop"):
            return "done" if record["event"] == "done" else "stopped"
        if record["event"] in ("resume", "extend", "retry", "new"):
            break
    return "open"
