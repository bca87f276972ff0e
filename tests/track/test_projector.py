"""Nobody waits for the tracker: the projector's thread is alone with it, and says so once when it is away."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from gatesweep.errors import StoreError
from gatesweep.track.projector import Projector
from gatesweep.track.store import Store

from .conftest import Data
from .history import LOCK, NAME, contents, history, trial_config


class Away:
    """A store that does not answer while `gone` is set; with `hangs`, it does not even say no."""

    def __init__(self, store: Store, *, hangs: bool = False) -> None:
        self._store, self._hangs = store, hangs
        self.gone = threading.Event()
        self.released = threading.Event()
        self.refused = 0

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._store, name)
        if not callable(real):
            return real

        def call(*args: Any, **options: Any) -> Any:
            if self.gone.is_set():
                if self._hangs:
                    self.released.wait(20)
                self.refused += 1
                raise StoreError("connection refused")
            return real(*args, **options)

        return call


@pytest.fixture
def projector(store: Store) -> Callable[..., Projector]:
    def make(through: Any = store, say: Callable[[str], None] = lambda line: None) -> Projector:
        return Projector(through, "s-1", NAME, "which one?", trial_config, LOCK, [Data()], say, interval_s=0.01)

    return make


def until(condition: Callable[[], bool], seconds: float = 20.0) -> bool:
    ends = time.monotonic() + seconds
    while not condition() and time.monotonic() < ends:
        time.sleep(0.01)
    return condition()


def test_a_fed_history_is_what_a_reconciled_one_is(store: Store, projector: Callable[..., Projector]) -> None:
    log = history()
    live = projector()
    live.reconcile(log[:1])
    assert live.parent_run_id
    assert live.experiment_id
    for record in log[1:]:
        live.feed(record)
    live.finish("completed", "Well.")
    assert live.close(20) == 0
    assert live.run_id("t0003")
    before = contents(store)
    again = projector()
    again.reconcile(log)
    again.finish("completed", "Well.")
    assert again.close(20) == 0
    assert contents(store) == before
    assert [run["status"] for run in before.values()].count("FINISHED") == 4


def test_values_arrive_while_the_sweep_runs(store: Store, projector: Callable[..., Projector]) -> None:
    log, live = history(), projector()
    live.reconcile(log[:1])
    for record in log[1:8]:
        live.feed(record)
    assert until(lambda: live.unsent == 0)
    assert contents(store)["t0000"]["latest"] == [("time/epoch_s", 1, 1.0), ("val/mae", 1, 3.0)]
    live.close(20)


def test_a_tracker_that_is_away_at_the_start_is_an_error_and_at_a_resume_is_waited_for(
        store: Store, projector: Callable[..., Projector]) -> None:
    away = Away(store)
    away.gone.set()
    with pytest.raises(StoreError):
        projector(away).reconcile(history()[:1])
    resumed = projector(away)
    resumed.reconcile(history(), must_answer=False)
    assert resumed.parent_run_id is None
    away.gone.clear()
    assert resumed.close(20) == 0
    assert len(contents(store)) == 5


def test_a_tracker_that_comes_back_gets_everything_and_both_are_said_once(store: Store,
                                                                      projector: Callable[..., Projector]) -> None:
    said: list[str] = []
    away, log = Away(store), history()
    live = projector(away, said.append)
    live.reconcile(log[:1])
    assert until(lambda: live.unsent == 0)
    away.gone.set()
    for record in log[1:]:
        live.feed(record)
    assert until(lambda: bool(said))
    away.gone.clear()
    live.finish("completed")
    assert until(lambda: live.unsent == 0)
    assert live.close(20) == 0
    assert len(said) == 2
    assert "connection refused" in said[0]
    assert "again" in said[1]
    assert {run["status"] for run in contents(store).values()} == {"FINISHED", "FAILED"}


def test_feeding_never_waits_for_a_tracker_that_hangs_and_closing_keeps_its_deadline(
        store: Store, projector: Callable[..., Projector]) -> None:
    away = Away(store, hangs=True)
    live = projector(away)
    live.reconcile(history()[:1])
    assert until(lambda: live.unsent == 0)
    away.gone.set()
    began = time.monotonic()
    for number in range(20_000):
        live.feed({"event": "result", "trial": "t0000", "epoch": number, "metrics": {"val/mae": 1.0}, "ts": number})
    assert time.monotonic() - began < 2
    began = time.monotonic()
    assert live.close(0.3) > 0
    assert time.monotonic() - began < 2
    away.released.set()


def test_closing_asks_a_store_that_was_silent_once_more_and_insists_only_where_told(
        store: Store, projector: Callable[..., Projector]) -> None:
    for away_s, attempts in ((0.0, {1}), (1.0, set(range(2, 8)))):
        away, said = Away(store), []
        live = projector(away, said.append)
        live.reconcile(history()[:1])
        assert until(lambda live=live: live.unsent == 0)
        away.gone.set()
        live.feed(history()[1])
        assert until(lambda said=said: bool(said))
        before = away.refused
        assert live.close(20, away_s=away_s) > 0
        assert away.refused - before in attempts


def test_a_bug_in_a_callback_is_said_and_counted_as_unsent(store: Store) -> None:
    said: list[str] = []

    def broken(params: Any, number: int) -> dict[str, Any]:
        raise KeyError("no such key")

    live = Projector(store, "s-1", NAME, "", broken, LOCK, [], said.append, interval_s=0.01)
    live.reconcile(history())
    assert until(lambda: bool(said))
    assert "no such key" in said[0]
    assert live.close(0.1) > 0


def test_twelve_trials_cost_the_driver_little(store: Store, projector: Callable[..., Projector]) -> None:
    live, ts = projector(), 1_700_000_000_000
    live._interval_s = 0.05
    live.reconcile(history()[:1])
    until(lambda: live.unsent == 0)
    began = time.process_time()
    for number in range(12):
        name = f"t{number:04d}"
        live.feed({"event": "new", "trial": name, "number": number, "params": {"model.hidden_size": 8}, "ts": ts})
        for epoch in range(1, 16):
            live.feed({"event": "result", "trial": name, "epoch": epoch, "metrics": {f"val/{i}": 1.0 for i in range(8)},
                       "outcome": "completed" if epoch == 15 else None, "ts": ts + epoch})
            time.sleep(0.002)
    assert live.close(30) == 0
    assert time.process_time() - began < 2.0, "seconds of CPU"
    assert len(contents(store)) == 13
