"""Following a sweep by its id: status from log or tracker, a trial's words, stopping, cleaning."""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from fakes import drive, make_spec, opened

from gatesweep.cli.following import _facts, _next, cluster_rows
from gatesweep.cli.launching import send_again, show_logs
from gatesweep.errors import ClusterError, ConfigError, NotFound, StorageError
from gatesweep.launch import followed as followed_module
from gatesweep.launch.clean import age_of, clean, look
from gatesweep.launch.followed import Followed, find
from gatesweep.launch.jobs import _pieces
from gatesweep.launch.logs import check_name, driver_log, trial_log
from gatesweep.launch.runner import Job
from gatesweep.launch.sections import ClusterConfig
from gatesweep.launch.status import status
from gatesweep.launch.stop import stop
from gatesweep.launch.submit import Sent
from gatesweep.launch.submitted import Attempt, Submitted, remember
from gatesweep.sweep.control import pending

from .test_submit import FakeRunner

Make = Callable[..., ClusterConfig]


def quiet(line: str) -> None:
    """Nobody listens."""


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch) -> FakeRunner:
    fake = FakeRunner()
    monkeypatch.setattr(followed_module, "runner_of", lambda cluster, home: fake)
    return fake


@pytest.fixture
def sent(ray_cluster: Make, own_home: Path, runner: FakeRunner) -> Submitted:
    """A sweep that was submitted and has not begun."""
    submitted = Submitted("toy", "toy", ray_cluster(), make_spec().as_dict(), (Attempt(1, "toy-a1", "now"),))
    remember(submitted, own_home)
    return submitted


def _folder(submitted: Submitted) -> Path:
    folder = Path(str(submitted.cluster.where.storage)) / "sweeps" / submitted.sweep_id
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _finished(folder: Path) -> None:
    """A whole sweep, done."""
    drive(folder, make_spec(), random.Random(1))
    ledger = opened(folder, make_spec(), create=False)
    ledger.note({"event": "done", "outcomes": ledger.outcomes()})
    ledger.log.close()


def _open(folder: Path) -> None:
    """A sweep in the middle of its first trial."""
    ledger = opened(folder, make_spec())
    ledger.next("a")
    ledger.log.close()


def test_before_its_first_record_a_sweep_is_what_its_job_is(
    sent: Submitted, own_home: Path, runner: FakeRunner
) -> None:
    runner.state = "pending"
    told = status(find("toy", own_home), quiet)
    assert (told["sweep_id"], told["job_id"], told["state"]) == ("toy", "toy-a1", "pending")
    assert told["trials"]["asked"] == make_spec().budget.trials
    assert told["best"] is None


def test_status_is_read_from_the_log_in_the_clusters_storage(sent: Submitted, own_home: Path) -> None:
    _finished(_folder(sent))
    told = status(find("toy", own_home), quiet)
    assert (told["state"], told["from"]) == ("done", "log")
    assert told["trials"]["over"] == told["trials"]["asked"] == 8
    assert told["best"]["trial_id"].startswith("toy/t")


def test_a_dead_job_leaves_an_open_sweep_interrupted(sent: Submitted, own_home: Path, runner: FakeRunner) -> None:
    _open(_folder(sent))
    runner.state = "failed"
    told = status(find("toy", own_home), quiet)
    assert (told["state"], told["trials"]["stopped"], told["running"]) == ("interrupted", 1, [])


def test_a_driver_that_wrote_its_sweeps_end_has_not_failed(
    sent: Submitted, own_home: Path, runner: FakeRunner
) -> None:
    runner.state = "failed"  # a driver that was stopped ends with exit code 130
    _finished(_folder(sent))
    assert status(find("toy", own_home), quiet)["job"] == {"state": "ended", "message": ""}
    seen = find("toy", own_home).progress().records
    remember(sent.with_attempt(Attempt(2, "toy-a2", "now", seen)), own_home)
    assert status(find("toy", own_home), quiet)["job"]["state"] == "failed", "this one died before it wrote anything"


def test_a_stopped_sweeps_driver_is_stopped(sent: Submitted, own_home: Path, runner: FakeRunner) -> None:
    runner.state = "failed"
    ledger = opened(_folder(sent), make_spec())
    ledger.note({"event": "stop", "reason": "stopped by the user"})
    ledger.log.close()
    told = status(find("toy", own_home), quiet)
    assert (told["state"], told["job"]["state"]) == ("stopped", "stopped")


def test_where_the_storage_is_not_to_be_seen_the_tracking_server_is_asked(
    sent: Submitted, own_home: Path, ray_cluster: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from gatesweep.track import addresses
    from gatesweep.track.store import open_store

    store = open_store(own_home)
    experiment = store.experiment("toy")
    tags = {addresses.SWEEP_ID: "toy", addresses.KIND: "trial", addresses.OUTCOME: "completed"}
    for _ in range(2):
        store.create_run(experiment, "t", tags=tags, started_ms=1)
    remember(Submitted("toy", "toy", ray_cluster(tracking=store.uri), sent.spec, sent.attempts), own_home)

    def away(self: Followed) -> Any:
        raise StorageError("does not answer", place="s3://bucket")

    monkeypatch.setattr(Followed, "records", away)
    said: list[str] = []
    told = status(find("toy", own_home), said.append)
    assert (told["from"], told["state"], told["trials"]["completed"]) == ("tracking", "running", 2)
    assert said == ["s3://bucket: does not answer; asking the tracking server"]
    assert "MLFLOW_TRACKING_URI" not in os.environ


def test_a_cluster_that_is_silent_takes_nothing_from_what_the_log_says(
    sent: Submitted, own_home: Path, runner: FakeRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(attempt: Attempt) -> Job:
        raise ClusterError("the cluster does not answer", place="http://head:8265", hint="x")

    monkeypatch.setattr(runner, "job", silent)
    _finished(_folder(sent))
    told = status(find("toy", own_home), quiet)
    assert (told["state"], told["job"]["state"]) == ("done", "unknown")
    assert told["job"]["message"] == "http://head:8265: the cluster does not answer"


def test_a_sweep_that_nobody_knows_is_not_found(own_home: Path) -> None:
    with pytest.raises(NotFound, match="no sweep 'nope'") as refused:
        find("nope", own_home)
    assert "--cluster" in (refused.value.hint or "")


def test_another_machine_finds_a_sweep_by_its_clusters_file(
    sent: Submitted, own_home: Path, tmp_path: Path, runner: FakeRunner
) -> None:
    _open(_folder(sent))
    file = tmp_path / "lab.yaml"
    file.write_text(f"kind: ray\naddress: http://other:8265\ntracking: http://m:1\nstorage: {tmp_path / 'shared'}\n")
    runner.others = [Job("toy-a1", "failed"), Job("toy-a2", "running")]
    elsewhere = find("toy", tmp_path / "other home", file)
    assert elsewhere.attempt == Attempt(2, "toy-a2", "")
    assert elsewhere.spec == make_spec().as_dict()
    file.write_text(f"kind: ray\naddress: http://other:8265\ntracking: http://m:1\nstorage: {tmp_path / 'else'}\n")
    with pytest.raises(ConfigError, match="and the sweep lies in"):
        find("toy", own_home, file)


def test_a_trials_log_is_its_events_and_what_it_printed(sent: Submitted, own_home: Path) -> None:
    folder = _folder(sent)
    _finished(folder)
    printed = folder / "logs" / "t0000" / "a1-x.log"
    printed.parent.mkdir(parents=True)
    printed.write_text("loss is 3\n")
    text = "".join(trial_log(find("toy", own_home), "t0000", follow=True))  # over, so following it ends
    assert "attempt 1 starts after epoch 0" in text
    assert "epoch 1: val/mae" in text
    assert text.endswith("--- logs/t0000/a1-x.log\nloss is 3\n")
    assert "t0001" not in text
    with pytest.raises(NotFound, match="no trial 't0099' yet"):
        list(trial_log(find("toy", own_home), "t0099", follow=False))


@pytest.mark.parametrize(("given", "name"), [("t0007", "t0007"), ("toy-1/t0007", "t0007"), ("t7", "t0007")])
def test_trials_are_named_as_people_do(given: str, name: str) -> None:
    assert check_name(given) == name


def test_a_driver_that_has_no_log_of_its_own_says_where_to_look(own_home: Path) -> None:
    folder = own_home / "sweeps" / "mine"
    folder.mkdir(parents=True)
    _open(folder)
    with pytest.raises(NotFound, match="foreground of a terminal"):
        list(driver_log(find("mine", own_home), follow=False))


@pytest.mark.parametrize("how", ["epoch", "drain"])
def test_a_sweep_is_asked_to_stop_in_its_own_place(
    sent: Submitted, own_home: Path, runner: FakeRunner, how: Any
) -> None:
    _open(_folder(sent))
    answer = stop(find("toy", own_home), how, None, quiet)
    assert [request for _, request in pending(find("toy", own_home).place)] == [{"stop": how, "trial": None}]
    assert (answer["asked"], answer["signalled"], runner.stopped) == (True, False, [])


def test_stopping_now_also_stops_a_job_that_does_not_end(
    sent: Submitted, own_home: Path, runner: FakeRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gatesweep.launch.stop.PATIENCE_S", 0.1)
    _open(_folder(sent))
    assert stop(find("toy", own_home), "now", None, quiet)["signalled"] is True
    assert runner.stopped == ["toy-a1"]


def test_one_trial_is_stopped_alone_and_never_by_its_job(sent: Submitted, own_home: Path, runner: FakeRunner) -> None:
    _open(_folder(sent))
    stop(find("toy", own_home), "now", "t0000", quiet)
    assert [request for _, request in pending(find("toy", own_home).place)] == [{"stop": "now", "trial": "t0000"}]
    assert runner.stopped == []


def test_a_trial_beyond_the_budget_is_refused_and_one_within_it_stops_at_its_next_epoch(
    sent: Submitted, own_home: Path
) -> None:
    _open(_folder(sent))
    with pytest.raises(ConfigError, match="there is no trial t0008: toy has 8, t0000 to t0007"):
        stop(find("toy", own_home), "epoch", "t0008", quiet)
    said: list[str] = []
    stop(find("toy", own_home), "epoch", "t0007", said.append)
    assert said == ["trial t0007 is asked to stop: it stops at its next epoch"]


def test_a_sweep_that_has_not_begun_is_stopped_by_its_job(sent: Submitted, own_home: Path, runner: FakeRunner) -> None:
    assert stop(find("toy", own_home), "epoch", None, quiet) | {"how": ""} == {
        "sweep_id": "toy", "trial": None, "how": "", "asked": False, "signalled": True}  # fmt: skip
    assert runner.stopped == ["toy-a1"]
    assert pending(find("toy", own_home).place) == []


def test_storage_out_of_sight_leaves_the_job_to_be_stopped_and_no_trial(
    sent: Submitted, own_home: Path, runner: FakeRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*anything: Any) -> Any:
        raise StorageError("does not answer", place="s3://bucket")

    monkeypatch.setattr(Followed, "records", away)
    monkeypatch.setattr("gatesweep.launch.stop.ask", away)
    with pytest.raises(ClusterError, match="trial cannot be stopped: its storage cannot be reached from here"):
        stop(find("toy", own_home), "epoch", "t0000", quiet)
    assert stop(find("toy", own_home), "epoch", None, quiet)["signalled"] is True


def test_what_is_over_cannot_be_stopped(sent: Submitted, own_home: Path, runner: FakeRunner) -> None:
    _finished(_folder(sent))
    with pytest.raises(ClusterError, match="there is nothing to stop: the sweep is done"):
        stop(find("toy", own_home), "now", None, quiet)
    assert runner.stopped == []


# What the command line makes of it.


def test_resuming_what_is_done_sends_no_driver_unless_the_tracking_store_lacks_something(
    sent: Submitted, own_home: Path, runner: FakeRunner, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    sending: list[list[str]] = []

    def again(followed: Followed, spec: Any, words: list[str], say: Any) -> Sent:
        sending.append(words)
        return Sent("toy", "toy-a2", "lab")

    monkeypatch.setattr("gatesweep.launch.submit.again", again)
    runner.state = "succeeded"
    _finished(_folder(sent))
    send_again(find("toy", own_home), [], retry_failed=False, as_json=False)
    send_again(find("toy", own_home), [], retry_failed=False, as_json=True)
    line, answer = capsys.readouterr().out.splitlines()
    assert line == "sweep toy: nothing is left to do; --set budget.trials=… extends it"
    assert json.loads(answer)["reason"] == "nothing is left to do"
    assert sending == []
    send_again(find("toy", own_home), ["budget.trials=9"], retry_failed=False, as_json=False)
    (_folder(sent) / "unsent").touch()
    send_again(find("toy", own_home), [], retry_failed=False, as_json=False)
    assert sending == [["--set", "budget.trials=9"], []]


@pytest.mark.parametrize("as_json", [True, False])
def test_a_driver_that_said_nothing_is_said_to_have(
    sent: Submitted, runner: FakeRunner, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    as_json: bool
) -> None:  # fmt: skip
    monkeypatch.setattr(runner, "log", lambda attempt: "")
    show_logs("toy", None, None, follow=False, as_json=as_json)
    assert "the driver toy-a1 said nothing" in capsys.readouterr().err


def test_a_sweep_that_failed_has_two_ways_on() -> None:
    ways = _next({"sweep_id": "toy", "state": "failed", "cluster": "lab"})
    assert "gatesweep logs toy" in ways
    assert "gatesweep resume toy" in ways


def test_list_asks_no_cluster_and_knows_what_the_storage_tells(
    sent: Submitted, own_home: Path, runner: FakeRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Followed, "job", None)
    assert [row["state"] for row in cluster_rows(own_home, set())] == ["sent"]
    _finished(_folder(sent))
    assert [row["state"] for row in cluster_rows(own_home, set())] == ["done"]


# Cleaning.


def _look(home: Path, *ids: str, **changes: Any) -> Any:
    return look(home, ids, **{"older_than_s": 0.0, "everything_too": False, "force": False, "say": quiet, **changes})


def _leave(folder: Path) -> None:
    for name in ("trials/t0000/a1/e0001/state.ckpt", "tune/x", "control/1.json", "report/index.html", "figures/a.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x" * 1000)


def test_a_finished_sweep_keeps_its_log_and_report_and_loses_the_rest(sent: Submitted, own_home: Path) -> None:
    folder = _folder(sent)
    _finished(folder)
    _leave(folder)
    found = _look(own_home, "toy")
    assert [(each.what, each.size_bytes) for each in found] == [("toy", 3000)]
    assert (folder / "trials").exists(), "looking deletes nothing"
    assert clean(found, quiet) == 3000
    assert {"trials", "tune", "control"} & {path.name for path in folder.iterdir()} == set()
    assert {"log.jsonl", "report", "figures"} <= {path.name for path in folder.iterdir()}
    assert status(find("toy", own_home), quiet)["state"] == "done"
    assert _look(own_home, "toy") == []


def test_an_open_sweep_is_left_alone_unless_forced(sent: Submitted, own_home: Path) -> None:
    folder = _folder(sent)
    _open(folder)
    _leave(folder)
    with pytest.raises(ConfigError, match=r"is not finished \(running\)"):
        _look(own_home, "toy")
    assert [each for each in _look(own_home) if each.kind != "temporary"] == []
    assert [each.what for each in _look(own_home, "toy", force=True)] == ["toy"]


def test_what_the_tracking_store_lacks_is_kept(sent: Submitted, own_home: Path) -> None:
    folder = _folder(sent)
    _finished(folder)
    _leave(folder)
    (folder / "unsent").touch()
    with pytest.raises(ConfigError, match="`gatesweep resume toy` sends that"):
        _look(own_home, "toy")


def test_status_says_what_the_tracking_server_lacks_and_that_resume_sends_it(sent: Submitted, own_home: Path) -> None:
    folder = _folder(sent)
    _finished(folder)
    assert status(find("toy", own_home), quiet)["unsent"] is False
    (folder / "unsent").touch()
    told = status(find("toy", own_home), quiet)
    assert (told["state"], told["unsent"]) == ("done", True)
    facts = dict(_facts(told))
    assert "has not got everything" in facts["unsent"]
    assert facts["next"] == "gatesweep resume toy sends it"


@pytest.mark.services
def test_what_lies_on_an_object_store_is_counted_in_bytes(s3: str, ray_cluster: Make, own_home: Path) -> None:
    remember(Submitted("toy", "toy", ray_cluster(storage=s3), make_spec().as_dict()), own_home)
    at = find("toy", own_home).place
    at.write("log.jsonl", b"a log")
    for number in range(3):
        at.write(f"trials/t0000/a1/e000{number}/state.ckpt", b"x" * 1000)
    found = _look(own_home, "toy", force=True)
    assert [(each.what, each.size_bytes) for each in found] == [("toy", 3000)]
    assert clean(found, quiet) == 3000
    assert at.names() == ["log.jsonl"]


def test_young_sweeps_are_left_alone(sent: Submitted, own_home: Path) -> None:
    _finished(_folder(sent))
    _leave(_folder(sent))
    assert [each for each in _look(own_home, older_than_s=3600.0) if each.kind != "temporary"] == []


def test_all_takes_the_sweep_and_the_memory_of_it(sent: Submitted, own_home: Path) -> None:
    folder = _folder(sent)
    _finished(folder)
    _leave(folder)
    clean(_look(own_home, "toy", everything_too=True), quiet)
    assert not folder.exists()
    with pytest.raises(NotFound):
        find("toy", own_home)


@pytest.mark.parametrize(("text", "seconds"), [("30d", 2_592_000), ("12h", 43_200), ("90m", 5_400)])
def test_ages_are_written_with_their_unit(text: str, seconds: float) -> None:
    assert age_of(text) == seconds
    with pytest.raises(ConfigError, match="is no age"):
        age_of(text[:-1])


def test_ctrl_c_while_nothing_comes_ends_the_stream_at_once() -> None:
    closed: list[bool] = []

    def interrupt() -> None:
        raise KeyboardInterrupt

    async def tail() -> AsyncIterator[str]:
        try:
            yield "said"
            asyncio.get_running_loop().call_soon(interrupt)
            await asyncio.sleep(3600)
        finally:
            closed.append(True)

    pieces = _pieces(tail(), 0)
    assert next(pieces) == "said"
    with pytest.raises(KeyboardInterrupt):
        next(pieces)
    assert closed == [True]
