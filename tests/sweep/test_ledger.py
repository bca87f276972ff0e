"""What must hold whatever fails, without Ray: the same ledger, killed at every border."""

import random
from pathlib import Path

import pytest
from fakes import EPOCHS, drive, loss, make_spec, opened

from gatesweep.errors import LogError
from gatesweep.storage import place
from gatesweep.sweep.failures import Death
from gatesweep.sweep.replay import replay
from gatesweep.track.log import encode, read


def _story(records):
    """A log without what a death may change: times, attempts, starts."""
    return [
        {k: v for k, v in r.items() if k not in ("ts", "attempt")}
        for r in records
        if r["event"] in ("new", "result", "end")
    ]


@pytest.mark.parametrize("scheduler", ["asha", "none"])
@pytest.mark.parametrize("search", ["tpe", "random"])
def test_one_at_a_time_a_killed_sweep_tells_the_same_story_as_an_unkilled_one(tmp_path: Path, scheduler, search):
    spec = make_spec(
        scheduler={"name": scheduler, "grace_epochs": 1},
        search={"name": search, "startup_trials": 3},
        failure={"retries": 99},
    )
    calm, _ = drive(_dir(tmp_path, "calm"), spec, random.Random(0))
    wild, kills = drive(_dir(tmp_path, "wild"), spec, random.Random(0), crash=0.2, death=0.05)
    assert kills > 3
    assert _story(wild) == _story(calm)


@pytest.mark.parametrize("seed", range(6))
def test_two_at_a_time_a_replay_of_the_log_gives_the_recorded_proposals_and_decisions(tmp_path: Path, seed: int):
    spec = make_spec(budget={"trials": 10, "concurrent": 2}, failure={"retries": 99})
    records, _ = drive(tmp_path, spec, random.Random(seed), crash=0.1, death=0.03)
    compared, differences = replay(place(tmp_path))
    assert differences == []
    assert compared == sum(r["event"] in ("new", "result") for r in records)


@pytest.mark.parametrize("seed", range(4))
def test_no_trial_is_lost_or_doubled_and_each_epoch_is_recorded_once(tmp_path: Path, seed: int):
    spec = make_spec(budget={"trials": 9, "concurrent": 3}, failure={"retries": 99})
    records, _ = drive(tmp_path, spec, random.Random(seed), crash=0.15, death=0.05)
    born = [r["trial"] for r in records if r["event"] == "new"]
    assert born == [f"t{n:04d}" for n in range(9)]
    for trial in born:
        own = [r for r in records if r.get("trial") == trial]
        params = own[0]["params"]
        results = [r for r in own if r["event"] == "result"]
        assert [r["epoch"] for r in results] == list(range(1, len(results) + 1))
        assert all(r["metrics"]["val/mae"] == loss(params, r["epoch"]) for r in results)
        assert [bool(r["outcome"]) for r in results] == [False] * (len(results) - 1) + [True]
        attempts = [r["attempt"] for r in own if r["event"] == "start"]
        assert attempts == list(range(1, len(attempts) + 1))


def test_every_prefix_of_a_log_is_resumed_into_a_whole_sweep(tmp_path: Path):
    spec = make_spec(budget={"trials": 4, "concurrent": 1})
    whole, _ = drive(_dir(tmp_path, "whole"), spec, random.Random(0))
    for length in range(1, len(whole), 3):
        folder = _dir(tmp_path, f"p{length}")
        (folder / "log.jsonl").write_bytes(b"".join(encode(r) for r in whole[:length]))
        ledger = opened(folder, spec, create=False)
        ledger.log.close()
        assert not ledger.finished or length == len(whole)
        again = _continue(folder, spec)
        assert _story(again) == _story(whole)


def _continue(folder: Path, spec):
    from fakes import _until_done

    ledger = opened(folder, spec, create=False)
    _until_done(ledger, random.Random(1), 0.0, 0.0)
    ledger.log.close()
    return ledger.log.records


def test_asha_prunes_here_and_its_rungs_hold_every_trial_that_reached_them(tmp_path: Path):
    spec = make_spec(budget={"trials": 12, "concurrent": 2})
    records, _ = drive(tmp_path, spec, random.Random(5), crash=0.1)
    ledger = opened(tmp_path, spec, create=False)
    assert ledger.outcomes()["pruned"] > 0
    for milestone, rung in ledger.schedule.rungs():
        reached = {
            r["trial"]: -r["metrics"]["val/mae"] for r in records if r["event"] == "result" and r["epoch"] == milestone
        }
        assert rung == reached


def test_a_log_that_this_version_would_have_written_otherwise_is_refused(tmp_path: Path):
    spec = make_spec(budget={"trials": 12, "concurrent": 2})
    records, _ = drive(_dir(tmp_path, "a"), spec, random.Random(5))
    index = next(
        i for i, r in enumerate(records) if r["event"] == "result" and r["decision"] == "stop" and not r["final"]
    )
    records[index] = {**records[index], "decision": "continue", "outcome": None}
    folder = _dir(tmp_path, "b")
    (folder / "log.jsonl").write_bytes(b"".join(encode(r) for r in records))
    with pytest.raises(LogError, match=f"line {index + 1}"):
        opened(folder, spec, create=False)


def test_a_late_report_of_an_earlier_attempt_changes_nothing(tmp_path: Path):
    ledger = opened(tmp_path, make_spec())
    given = ledger.next("a")
    ledger.released("a", Death("crash", "killed"))
    again = ledger.next("b")
    assert again.trial is given.trial
    before = len(ledger.log.records)
    assert (
        ledger.result("b", {"attempt": 1, "epoch": 1, "metrics": {"val/mae": 1.0}, "checkpoint": "x", "final": False})
        == "stop"
    )
    assert len(ledger.log.records) == before


def test_retries_are_counted_and_a_hopeless_failure_is_not_tried_again(tmp_path: Path):
    ledger = opened(tmp_path, make_spec(failure={"retries": 2}, budget={"trials": 2}))
    for key in "abc":
        assert ledger.next(key).trial.name == "t0000"
        ledger.released(key, Death("crash", "killed"))
    assert ledger.trials["t0000"].outcome == "failed"
    assert ledger.trials["t0000"].deaths == 3
    assert ledger.next("d").trial.name == "t0001"
    ledger.failed("d", Death("nan", "the loss is nan"))
    ledger.released("d")
    assert (ledger.trials["t0001"].outcome, ledger.trials["t0001"].reason) == ("failed", "the loss is nan")
    assert ledger.finished


def test_the_breaker_pauses_the_sweep_and_resume_goes_on(tmp_path: Path):
    ledger = opened(tmp_path, make_spec(budget={"trials": 12, "concurrent": 1}))
    for key in map(str, range(4)):
        ledger.next(key)
        ledger.failed(key, Death("nan", "the loss is nan"))
        ledger.released(key)
    assert ledger.stopped is not None
    assert "4 of 4" in ledger.stopped
    assert ledger.next("x") == "finished"
    ledger.log.close()
    again = opened(tmp_path, make_spec(budget={"trials": 12, "concurrent": 1}), create=False)
    assert again.stopped is not None
    again.resume()
    assert again.next("y").trial.name == "t0004"


def test_an_extended_budget_adds_trials_and_leaves_the_old_ones_alone(tmp_path: Path):
    from gatesweep.sweep.options import Budget

    spec = make_spec(budget={"trials": 4, "concurrent": 1})
    before, _ = drive(tmp_path, spec, random.Random(0))
    ledger = opened(tmp_path, spec, create=False)
    assert ledger.next("z") == "finished"
    ledger.extend(Budget(trials=6, concurrent=1))
    ledger.log.close()
    after = _continue(tmp_path, spec)
    assert after[: len(before)] == before
    assert [r["trial"] for r in after if r["event"] == "new"] == [f"t{n:04d}" for n in range(6)]
    assert replay(place(tmp_path))[1] == []


def test_a_stopped_sweep_keeps_its_open_trials_and_starts_them_first(tmp_path: Path):
    spec = make_spec(budget={"trials": 6, "concurrent": 2})
    ledger = opened(tmp_path, spec)
    ledger.next("a")
    ledger.next("b")
    ledger.stop("interrupted")
    assert ledger.outcomes()["stopped"] == 2
    assert (
        ledger.result("a", {"attempt": 1, "epoch": 1, "metrics": {"val/mae": 1.0}, "checkpoint": "", "final": False})
        == "stop"
    )
    ledger.log.close()
    again = opened(tmp_path, spec, create=False)
    again.resume()
    assert [again.next(key).trial.name for key in "cd"] == ["t0000", "t0001"]


def test_the_best_trial_is_the_best_epoch_of_any_that_did_not_fail(tmp_path: Path):
    spec = make_spec(budget={"trials": 5, "concurrent": 1})
    records, _ = drive(tmp_path, spec, random.Random(0))
    ledger = opened(tmp_path, spec, create=False)
    values = {
        t: min(r["metrics"]["val/mae"] for r in records if r["event"] == "result" and r["trial"] == t)
        for t in ledger.trials
    }
    assert ledger.ranked()[0].name == min(values, key=values.get)
    assert ledger.ranked()[0].epoch <= EPOCHS
    assert read(place(tmp_path)) == ledger.log.records
    assert ledger.log.records[: len(records)] == records


def _dir(base: Path, name: str) -> Path:
    (base / name).mkdir()
    return base / name
