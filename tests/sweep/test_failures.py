"""Every way in which an attempt dies has its class, and every class its policy."""

import errno
import json
from pathlib import Path

import pytest
import torch
from fakes import EPOCHS, drive, make_spec, opened

from gatesweep.errors import DataError, NotFinite, TrialFailed
from gatesweep.sweep.failures import CLASSES, POLICY, WORDS, Death, digest, from_exception
from gatesweep.sweep.replay import replay


def _raised(work) -> BaseException:
    with pytest.raises(BaseException) as caught:
        work()
    return caught.value


def _full_disk():
    raise OSError(errno.ENOSPC, "No space left on device", "/scratch/state.ckpt")


def _torch_on_a_full_disk():
    with open("/dev/full", "wb") as file:
        torch.save({"w": torch.zeros(1 << 20)}, file)


def _too_large():
    torch.empty(1 << 60)


def _mistake():
    return {}["no such key"]


@pytest.mark.parametrize(
    ("work", "kind", "policy"),
    [
        (_full_disk, "bad_data", "exclude_node"),
        (_torch_on_a_full_disk, "bad_data", "exclude_node"),
        (_too_large, "out_of_memory", "counted"),
        (_mistake, "user_code", "counted"),
    ],
)
def test_what_python_and_torch_really_raise_is_recognised(work, kind, policy):
    death = from_exception(_raised(work), "node", "host")
    assert (death.kind, death.policy, death.node, death.host) == (kind, policy, "node", "host")
    assert death.reason


@pytest.mark.parametrize(
    ("error", "kind", "policy"),
    [
        (NotFinite("the training loss is nan"), "nan", "fail"),
        (DataError("altered"), "bad_data", "exclude_node"),
        (MemoryError(), "out_of_memory", "counted"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), "out_of_memory", "counted"),
        (TrialFailed("the task never reported 'val/mae'"), "user_code", "fail"),
    ],
)
def test_our_own_errors_say_what_they_are(error, kind, policy):
    death = from_exception(error)
    assert (death.kind, death.policy) == (kind, policy)


def test_every_class_has_a_policy_and_words():
    assert set(POLICY) == set(WORDS) == set(CLASSES)


def test_the_same_mistake_has_the_same_digest_and_another_place_another():
    assert digest(_raised(_mistake)) == digest(_raised(_mistake)) != digest(_raised(_full_disk))


def test_a_lost_node_does_not_count_against_the_retries_and_a_crash_does(tmp_path: Path):
    ledger = opened(tmp_path, make_spec(failure={"retries": 1}))
    for number in range(6):
        ledger.next(f"a{number}")
        ledger.released(f"a{number}", Death("node_lost", "gone"))
    assert ledger.trials["t0000"].outcome is None
    for key in "xy":
        ledger.next(key)
        ledger.released(key, Death("crash", "killed"))
    assert ledger.trials["t0000"].outcome == "failed"
    fails = [r for r in ledger.log.records if r["event"] == "fail"]
    assert [r["policy"] for r in fails] == ["free"] * 6 + ["counted", "fail"]
    assert [r["class"] for r in fails] == ["node_lost"] * 6 + ["crash"] * 2


def test_a_trial_that_takes_every_node_along_is_given_up(tmp_path: Path):
    ledger = opened(tmp_path, make_spec(failure={"retries": 0}, budget={"trials": 1}))
    for number in range(100):
        if ledger.next(str(number)) == "finished":
            break
        ledger.released(str(number), Death("node_lost", "gone"))
    assert (ledger.trials["t0000"].outcome, ledger.trials["t0000"].attempt) == ("failed", 21)


def test_an_error_that_comes_again_in_the_same_place_is_not_tried_a_third_time(tmp_path: Path):
    ledger = opened(tmp_path, make_spec(failure={"retries": 9}))
    for key in "ab":
        ledger.next(key)
        ledger.released(key, Death("user_code", "ValueError: no", trace="0badc0de"))
    assert ledger.trials["t0000"].outcome == "failed"


def test_the_same_error_in_three_trials_pauses_the_sweep_and_says_which(tmp_path: Path):
    spec = make_spec(failure={"retries": 9}, budget={"trials": 9, "concurrent": 3})
    ledger = opened(tmp_path, spec)
    for key in "abc":
        ledger.next(key)
    for key in "abc":
        ledger.released(key, Death("user_code", f"ValueError: no {key}\n  at x.py", trace="0badc0de"))
    assert ledger.stopped == "the breaker: the same error in 3 trials: ValueError: no c"
    ledger.log.close()
    again = opened(tmp_path, spec, create=False)
    assert again.stopped
    again.resume()
    assert again.next("x").trial.name == "t0000"


def test_a_node_with_a_full_disk_gets_no_more_trials_and_the_trial_goes_elsewhere(tmp_path: Path):
    ledger = opened(tmp_path, make_spec(failure={"retries": 0}))
    ledger.has_other_nodes = lambda excluded: excluded != {"n1", "n2"}
    ledger.next("a")
    ledger.released("a", Death("bad_data", "full", node="n1", host="h1"))
    assert (ledger.excluded, ledger.trials["t0000"].outcome) == ({"n1"}, None)
    ledger.next("b")
    ledger.released("b", Death("bad_data", "full", node="n2", host="h2"))
    assert ledger.trials["t0000"].outcome == "failed", "bad on two hosts: it is the data"
    assert ledger.excluded == {"n1"}
    ledger.resume()
    assert ledger.excluded == set()


def test_on_one_machine_bad_data_fails_the_trial_at_once(tmp_path: Path):
    ledger = opened(tmp_path, make_spec())
    ledger.next("a")
    ledger.released("a", Death("bad_data", "altered", node="n1", host="h1"))
    assert ledger.trials["t0000"].outcome == "failed"


@pytest.mark.parametrize("search", ["tpe", "random", "grid"])
def test_failed_trials_are_tried_again_and_the_replay_agrees(tmp_path: Path, search: str):
    space = {"model.hidden_size": {"choice": [8, 16, 32, 64]}, "optimizer.name": {"choice": ["adamw", "sgd"]},
             "model.dropout": {"choice": [0.0, 0.1]}}  # fmt: skip
    spec = make_spec(budget={"trials": 6, "concurrent": 1}, space=space,
                     search={"name": search, "startup_trials": 2}, failure={"breaker": 1.0})  # fmt: skip
    import random

    ledger = opened(tmp_path, spec)
    for key in "ab":
        ledger.next(key)
        ledger.released(key, Death("nan", "the loss is nan"))
    ledger.log.close()
    from fakes import _until_done

    ledger = opened(tmp_path, spec, create=False)
    _until_done(ledger, random.Random(0), 0.0, 0.0)
    assert ledger.outcomes()["failed"] == 2
    assert ledger.retry() == ["t0000", "t0001"]
    assert ledger.retry() == []
    ledger.log.close()
    ledger = opened(tmp_path, spec, create=False)
    assert not ledger.finished
    _until_done(ledger, random.Random(0), 0.0, 0.0)
    assert ledger.outcomes()["failed"] == 0
    assert ledger.finished
    _, differences = replay_of(tmp_path)
    assert differences == []


def replay_of(folder: Path):
    from gatesweep.storage import place

    return replay(place(folder))


def test_one_trial_stopped_by_the_user_is_over_and_can_be_tried_again(tmp_path: Path):
    ledger = opened(tmp_path, make_spec())
    ledger.next("a")
    assert ledger.end("t0000", "stopped by the user")
    assert not ledger.end("t0000", "stopped by the user")
    report = {"attempt": 1, "epoch": 1, "metrics": {"val/mae": 1.0}, "checkpoint": "", "final": False}
    assert ledger.result("a", report) == "stop"
    ledger.released("a")
    assert ledger.outcomes()["stopped"] == 1
    assert ledger.next("b").trial.name == "t0001"
    assert ledger.retry(["t0000"]) == ["t0000"]
    assert ledger.next("c") == "wait"


@pytest.mark.parametrize(("mode", "answer"), [("drain", "continue"), ("epoch", "stop")])
def test_a_stop_at_the_next_epoch_or_after_the_running_trials_loses_no_epoch(tmp_path: Path, mode, answer):
    ledger = opened(tmp_path, make_spec(scheduler={"name": "none"}))
    ledger.next("a")
    ledger.pausing = mode
    assert ledger.next("b") == "wait"
    report = {"attempt": 1, "epoch": 1, "metrics": {"val/mae": 1.0}, "checkpoint": "e1", "final": False}
    assert ledger.result("a", report) == answer
    assert ledger.trials["t0000"].epoch == 1
    if mode == "drain":
        for epoch in range(2, EPOCHS + 1):
            ledger.result("a", {**report, "epoch": epoch, "final": epoch == EPOCHS})
    ledger.released("a")
    assert ledger.next("c") == "finished"
    assert ledger.stopped == "the user"
    assert ledger.trials["t0000"].outcome == ("completed" if mode == "drain" else None)
    assert not any(r["event"] == "fail" for r in ledger.log.records)


def test_a_stop_that_comes_with_the_last_epoch_changes_nothing(tmp_path: Path):
    ledger = opened(tmp_path, make_spec(budget={"trials": 1}))
    ledger.next("a")
    ledger.pausing = "epoch"
    for epoch in range(1, EPOCHS + 1):
        report = {"attempt": 1, "epoch": epoch, "metrics": {"val/mae": 1.0}, "checkpoint": ""}
        ledger.result("a", {**report, "final": epoch == EPOCHS})
    ledger.released("a")
    assert ledger.next("b") == "finished"
    assert (ledger.stopped, ledger.finished) == (None, True)


def test_a_death_travels_as_json_and_comes_back_the_same():
    death = Death("bad_data", "full", "", "n", "h", "fail")
    assert Death(**json.loads(json.dumps(death.as_dict()))) == death


def test_deaths_do_not_change_what_is_proposed(tmp_path: Path):
    import random

    spec = make_spec(failure={"retries": 99}, budget={"trials": 6, "concurrent": 1})
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    calm, _ = drive(tmp_path / "a", spec, random.Random(0))
    wild, _ = drive(tmp_path / "b", spec, random.Random(0), death=0.2)
    assert any(r["event"] == "fail" for r in wild)
    assert [r["params"] for r in calm if r["event"] == "new"] == [r["params"] for r in wild if r["event"] == "new"]
