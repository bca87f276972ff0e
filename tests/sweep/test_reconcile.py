"""What a dead driver left in the tracking store is set right from the log alone, and the log stays as it is."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from fakes import _until_done, make_spec, opened

from gatesweep.errors import StoreError
from gatesweep.storage import place
from gatesweep.sweep.reconcile import settle, settle_all, stale
from gatesweep.sweep.session import UNSENT
from gatesweep.track import store as stores
from gatesweep.track.lineage import collect
from gatesweep.track.log import read

pytestmark = pytest.mark.timeout(120)


def _sweep(home: Path, sweep_id: str, *, over: bool) -> Path:
    """A sweep whose driver is gone; it never spoke to a tracking store."""
    folder = home / "sweeps" / sweep_id
    folder.mkdir(parents=True)
    spec = make_spec(budget={"trials": 3, "concurrent": 1})
    (folder / "lock.json").write_text(collect(spec.as_dict(), (), {"search": 1}).text())
    ledger = opened(folder, spec)
    if over:
        _until_done(ledger, random.Random(0), 0.0, 0.0)
        ledger.note({"event": "done", "outcomes": ledger.outcomes()})
    else:
        ledger.next("a")
        report = {"attempt": 1, "epoch": 1, "metrics": {"val/mae": 1.5}, "checkpoint": "e1", "final": False}
        ledger.result("a", report)
    ledger.log.close()
    return folder


def _statuses(store, sweep_id: str) -> dict[str, str]:
    names = {run.run_id: run.tags.get("gatesweep.trial_id", "parent") for run in store.runs_of(sweep_id)}
    return {names[run.run_id].rpartition("/")[2]: run.status for run in store.runs_of(sweep_id)}


def test_a_dead_drivers_runs_are_closed_and_the_sweep_stays_resumable(tmp_path: Path):
    folder = _sweep(tmp_path, "dead", over=False)
    store, before = stores.open_store(tmp_path), read(place(folder))
    assert [(found.sweep_id, found.why) for found in stale(tmp_path)] == [("dead", "its driver died")]
    assert settle("dead", tmp_path, store, print) == 0
    assert _statuses(store, "dead") == {"parent": "KILLED", "t0000": "KILLED"}
    assert read(place(folder)) == before
    assert stale(tmp_path) == [], "nothing was written since"


def test_what_was_never_sent_is_sent_and_the_mark_goes(tmp_path: Path):
    folder = _sweep(tmp_path, "unsent", over=True)
    (folder / UNSENT).touch()
    store = stores.open_store(tmp_path)
    assert settle_all(tmp_path, lambda: store, print) == ["unsent"]
    assert not (folder / UNSENT).exists()
    results = [r for r in read(place(folder)) if r["event"] == "result"]
    assert set(_statuses(store, "unsent").values()) == {"FINISHED"}
    rows = [row for run in store.runs_of("unsent") for row in store.history(run.run_id, "val/mae")]
    assert sorted(row.value for row in rows) == sorted(r["metrics"]["val/mae"] for r in results)
    assert settle_all(tmp_path, lambda: store, print) == []


def test_a_sweep_that_somebody_runs_is_left_alone(tmp_path: Path):
    folder = _sweep(tmp_path, "alive", over=False)
    ledger = opened(folder, make_spec(budget={"trials": 3, "concurrent": 1}), create=False)
    try:
        assert stale(tmp_path) == []
    finally:
        ledger.log.close()


def test_a_store_that_does_not_answer_is_said_and_nothing_is_lost(tmp_path: Path):
    folder = _sweep(tmp_path, "unsent", over=True)
    (folder / UNSENT).touch()
    said: list[str] = []

    def away():
        raise StoreError("connection refused")

    assert settle_all(tmp_path, away, said.append) == []
    assert "connection refused" in said[0]
    assert (folder / UNSENT).exists()
