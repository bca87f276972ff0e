"""A budget that is spent ends a sweep with its reason, resumably; the log knows what was spent."""

import random
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from fakes import _until_done, loss, make_spec, opened

from gatesweep.errors import ConfigError
from gatesweep.storage import place
from gatesweep.sweep.failures import Death
from gatesweep.sweep.options import Budget
from gatesweep.sweep.replay import replay
from gatesweep.sweep.spec import startable
from gatesweep.sweep.view import sweep_view
from gatesweep.track.view import SweepView

HOUR_MS = 3_600_000


@pytest.fixture
def clock(monkeypatch):
    """A log that is stamped with the test's own time, `clock.ms`."""
    clock = SimpleNamespace(ms=HOUR_MS, monotonic=time.monotonic, sleep=time.sleep)
    clock.time = lambda: clock.ms / 1000
    monkeypatch.setattr("gatesweep.track.log.time", clock)
    monkeypatch.setattr("gatesweep.sweep.ledger.time", clock)
    return clock


def _spec(**budget):
    return make_spec(
        budget={"trials": 20, "concurrent": 2, **budget}, search={"name": "random"}, scheduler={"name": "none"}
    )


def _report(ledger, key, epoch, value, *, final=False):
    attempt = ledger.trials[ledger.running[key]].attempt
    report = {"attempt": attempt, "epoch": epoch, "metrics": {"val/mae": value}, "checkpoint": "", "final": final}
    answer = ledger.result(key, report)
    if answer == "stop":
        ledger.released(key)
    return answer


def test_a_target_ends_the_sweep_at_the_epoch_that_reaches_it_and_leaves_the_rest_resumable(tmp_path: Path):
    ledger = opened(tmp_path, _spec(target=0.5))
    ledger.next("a")
    ledger.next("b")
    assert _report(ledger, "a", 1, 0.6) == "continue"
    assert _report(ledger, "b", 1, 0.5) == "stop"
    assert (ledger.stopped, ledger.spent) == ("budget.target: 0.5 reaches 0.5", "target")
    assert ledger.finished
    assert _report(ledger, "a", 2, 0.4) == "stop"
    assert ledger.next("c") == "finished"
    assert [t.outcome for t in ledger.trials.values()] == [None, None]
    assert ledger.trials["t0000"].epoch == 1
    view = sweep_view(ledger, "toy", {})
    assert view.notes == ["stopped: budget.target: 0.5 reaches 0.5"]
    ledger.log.close()

    again = opened(tmp_path, ledger.spec, create=False)
    assert again.finished
    again.extend(Budget(trials=20, concurrent=2, target=0.1))
    assert not again.finished
    again.resume()
    assert [again.next(k).trial.name for k in "de"] == ["t0000", "t0001"]


def test_a_sweep_without_a_better_trial_ends_and_failures_do_not_count(tmp_path: Path):
    ledger = opened(tmp_path, _spec(no_improvement=3, concurrent=1))
    for number, value in enumerate([1.0, 0.8, 0.9, None, 0.8, 0.85]):
        assert not ledger.finished
        ledger.next(key := str(number))
        if value is None:
            ledger.failed(key, Death("nan", "the loss is nan"))
            ledger.released(key)
        else:
            _report(ledger, key, 1, value, final=True)
    assert ledger.spent == "no_improvement"
    assert ledger.next("x") == "finished"
    ledger.log.close()
    assert replay(place(tmp_path))[1] == []


def test_wall_time_counts_over_a_restart_and_rests_do_not(tmp_path: Path, clock):
    spec = _spec(wall_time="1.5h")
    ledger = opened(tmp_path, spec)
    ledger.next("a")
    clock.ms += HOUR_MS
    assert _report(ledger, "a", 1, 1.0) == "continue"
    ledger.log.close()

    clock.ms += 9 * HOUR_MS
    again = opened(tmp_path, spec, create=False)
    again.resume()
    assert again.next("b").trial.name == "t0000"
    clock.ms += HOUR_MS // 2 - 1
    again.check_budget()
    assert again.stopped is None
    clock.ms += 1
    again.check_budget()
    assert again.stopped == "budget.wall_time: 1.5h are over"
    assert sweep_view(again, "toy", {}).wall_s == pytest.approx(1.5 * 3600)
    again.log.close()


@pytest.mark.parametrize(("name", "cpus", "gpus"), [("cpu_hours", 2, 0.0), ("gpu_hours", 1, 0.5)])
def test_hours_are_those_of_all_attempts_times_what_a_trial_gets(tmp_path: Path, clock, name, cpus, gpus):
    each = cpus if name == "cpu_hours" else gpus
    spec = make_spec(budget={"trials": 9, "concurrent": 2, name: 3 * each}, scheduler={"name": "none"},
                     resources={"cpus": cpus, "gpus": gpus})  # fmt: skip
    ledger = opened(tmp_path, spec)
    ledger.next("a")
    ledger.next("b")
    clock.ms += HOUR_MS
    ledger.released("a", Death("crash", "killed"))  # one hour, lost and yet used
    assert ledger.next("c").trial.name == "t0000"
    assert _report(ledger, "b", 1, 1.0) == "continue"
    clock.ms += HOUR_MS
    assert _report(ledger, "b", 2, 1.0) == "stop"
    assert ledger.spent == name
    ledger.log.close()


def test_the_tracking_store_shows_a_spent_sweep_as_completed_and_its_open_trials_as_killed(tmp_path: Path):
    ledger = opened(tmp_path, _spec(target=0.5))
    ledger.next("a")
    ledger.next("b")
    _report(ledger, "a", 1, 0.4, final=True)
    ledger.note({"event": "done", "outcomes": ledger.outcomes()})
    shown = SweepView()
    for record in ledger.log.records:
        shown.fold(record)
    assert shown.status_of(None) == "FINISHED"
    assert [shown.status_of(trial) for trial in shown.trials.values()] == ["FINISHED", "KILLED"]


def test_the_same_sweep_stops_at_the_same_trial_however_often_it_is_killed(tmp_path: Path):
    spec = _spec(target=0.25, concurrent=1)
    whole = opened(tmp_path, spec)
    _until_done(whole, random.Random(0), 0.0, 0.0)
    whole.log.close()
    results = [r for r in whole.log.records if r["event"] == "result"]
    assert results[-1]["metrics"]["val/mae"] <= 0.25 < min(r["metrics"]["val/mae"] for r in results[:-1])
    assert all(r["metrics"]["val/mae"] == loss(whole.trials[r["trial"]].params, r["epoch"]) for r in results)


@pytest.mark.parametrize(
    ("budget", "said"),
    [
        ({"wall_time": "90"}, "budget.wall_time"),
        ({"cpu_hours": 0}, "budget.cpu_hours"),
        ({"gpu_hours": 1}, "gpu_hours: does nothing where trials get no GPU"),
        ({"no_improvement": 0}, "budget.no_improvement"),
    ],
)
def test_a_budget_that_cannot_be_is_refused(budget, said):
    with pytest.raises(ConfigError, match=said):
        startable(_spec(**budget), "sweep.yaml")
