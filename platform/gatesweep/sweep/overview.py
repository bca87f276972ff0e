"""The sweeps of a home folder, each from its log alone: no torch, no Ray, no tracking store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gatesweep.errors import LogError
from gatesweep.track.log import read
from gatesweep.track.records import Record


def sweeps(home: Path) -> list[dict[str, Any]]:
    """A row a sweep, the newest last; a damaged log is a row that says so."""
    paths = sorted((home / "sweeps").glob("*/log.jsonl"), key=lambda path: path.stat().st_mtime)
    return [_row(path) for path in paths]


def _row(path: Path) -> dict[str, Any]:
    row = {"sweep_id": path.parent.name, "state": "empty", "over": 0, "trials": 0, "metric": "", "best": ""}
    try:
        records, _ = read(path)
    except LogError:
        return {**row, "state": "damaged log"}
    if not records:
        return row
    spec = records[0]["spec"]
    metric, mode = spec["objective"]["metric"], spec["objective"]["mode"]
    values = [r["metrics"][metric] for r in records if r["event"] == "result"]
    trials = next(
        (r["budget"]["trials"] for r in reversed(records) if r["event"] == "extend"), spec["budget"]["trials"]
    )
    best = (min if mode == "min" else max)(values, default=None)
    return {
        **row,
        "state": _state(records),
        "over": sum(_ends(r) for r in records),
        "trials": trials,
        "metric": metric,
        "best": "" if best is None else f"{best:.5g}",
    }


def _ends(record: Record) -> bool:
    """Whether a record gives a trial its outcome."""
    return bool(
        record.get("outcome") if record["event"] in ("result", "end") else record["event"] == "fail" and record["final"]
    )


def _state(records: list[Record]) -> str:
    """done, stopped, or open: running somewhere, or killed and resumable."""
    for record in reversed(records):
        if record["event"] in ("done", "stop"):
            return "done" if record["event"] == "done" else "stopped"
        if record["event"] in ("resume", "extend", "new"):
            break
    return "open"
