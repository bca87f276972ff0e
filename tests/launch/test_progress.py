"""A sweep's state from its log alone agrees with the ledger, which folds the same log by other means."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from fakes import drive, make_spec, opened

from gatesweep.launch.progress import fold
from gatesweep.launch.runner import Job
from gatesweep.track.records import Record


@pytest.mark.parametrize("seed", range(6))
def test_counts_and_best_are_the_ledgers_whatever_died_on_the_way(tmp_path: Path, seed: int) -> None:
    spec = make_spec(failure={"retries": 1})
    records, _ = drive(tmp_path, spec, random.Random(seed), crash=0.05, death=0.1)
    ledger = opened(tmp_path, spec, create=False)
    ledger.log.close()
    found = fold("toy", records)
    counts = found.counts(live=False)
    assert {kind: counts[kind] for kind in ledger.outcomes()} == ledger.outcomes()
    assert counts["over"] == sum(trial.outcome is not None for trial in ledger.trials.values())
    best = found.best()
    assert best is not None
    assert best["trial_id"] == f"toy/{ledger.ranked()[0].name}"
    assert best["value"] == ledger.value(ledger.ranked()[0])
    assert sum(found.failures.values()) == sum(record["event"] == "fail" for record in records)
    assert {trial.name: trial.epoch for trial in found.trials.values()} == {
        trial.name: trial.epoch for trial in ledger.trials.values()}  # fmt: skip


def _log(*events: Record) -> list[Record]:
    first: Record = {"event": "sweep", "spec": make_spec().as_dict(), "ts": 1000}
    return [first, *({"ts": 2000 + 1000 * n, **event} for n, event in enumerate(events))]


NEW = {"event": "new", "trial": "t0000", "number": 0, "params": {"a": 1}}
START = {"event": "start", "trial": "t0000", "attempt": 1, "epoch": 0}
RESULT = {"event": "result", "trial": "t0000", "epoch": 1, "metrics": {"val/mae": 0.5}, "host": "node-2"}
FAIL = {"event": "fail", "trial": "t0000", "attempt": 1, "reason": "boom", "class": "user_code", "final": True}


def test_a_running_trial_tells_its_epoch_and_its_node() -> None:
    found = fold("toy", _log(NEW, START, RESULT))
    assert [(trial.name, trial.epoch, trial.node, trial.best) for trial in found.running()] == [
        ("t0000", 1, "node-2", 0.5)]  # fmt: skip
    assert found.counts(live=True)["running"] == 1
    assert found.counts(live=False)["stopped"] == 1


def test_a_failed_trial_that_is_retried_is_open_again_and_its_death_still_counts() -> None:
    found = fold("toy", _log(NEW, START, FAIL, {"event": "retry", "trials": ["t0000"]}))
    assert (found.trials["t0000"].outcome, dict(found.failures)) == (None, {"user_code": 1})


@pytest.mark.parametrize(("events", "job", "state"), [
    ([], Job("a1", "pending"), "pending"),
    ([], Job("a1", "running"), "starting"),
    ([], Job("a1", "failed"), "failed"),
    ([NEW, START], Job("a1", "running"), "running"),
    ([NEW, START], Job("a1", "failed"), "interrupted"),
    ([NEW, START], Job("a1", "unknown", "the cluster knows no such job"), "interrupted"),
    ([NEW, START], None, "open"),
    ([NEW, {"event": "stop", "reason": "x"}], Job("a1", "succeeded"), "stopped"),
    ([NEW, {"event": "stop", "reason": "x"}, {"event": "resume"}], Job("a2", "running"), "running"),
    ([NEW, {"event": "done"}], Job("a1", "succeeded"), "done"),
    ([NEW, {"event": "done"}, {"event": "extend", "budget": {"trials": 9}}], Job("a2", "running"), "running"),
])
def test_the_state_is_what_log_and_driver_say_together(events: list[Record], job: Job | None, state: str) -> None:
    records = _log(*events) if events else []
    assert fold("toy", records).state(job) == state


@pytest.mark.parametrize("last", ["stop", "done"])
def test_a_driver_that_was_sent_and_has_not_written_yet_is_starting(last: str) -> None:
    records = _log({"event": "lease", "fence": 1}, NEW, {"event": last, "reason": "x"})
    seen = fold("toy", records).records
    taken = [*records, {"event": "lease", "fence": 2, "ts": 8}]  # the log is its own, and nothing is said in it yet
    for log in (records, taken):
        assert fold("toy", log).state(Job("a2", "running"), seen) == "starting"
        assert fold("toy", log).state(Job("a2", "failed"), seen) == {"stop": "stopped", "done": "done"}[last]
        resumed = [*log, {"event": "resume", "ts": 9}]
        assert fold("toy", resumed).state(Job("a2", "running"), seen) == "running"


def test_an_extended_sweep_asks_for_more() -> None:
    assert fold("toy", _log({"event": "extend", "budget": {"trials": 40}})).counts(live=True)["asked"] == 40
