"""MLflow shows what the log says, whatever died between any two writes: one run per trial, each row once."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
import yaml

from gatesweep.config.digest import digest
from gatesweep.errors import StoreError
from gatesweep.track import addresses as names
from gatesweep.track.projection import Copy, Ending
from gatesweep.track.store import Refused, Store
from gatesweep.track.view import PARENT

from .conftest import MD5
from .history import contents, history, parent_of, projection, trial_config

END = Ending("completed", "It went well.")
WRITES = ("experiment", "create_run", "log_batch", "log_inputs", "write_text", "set_terminated", "reopen", "delete_run")


class Unsteady:
    """A store that fails at one call: before it is done, or after it was done and before the answer."""

    def __init__(self, store: Store, at: int = -1, *, after: bool = False,
                 error: type[StoreError] = StoreError) -> None:
        self._store, self._at, self._after, self._error = store, at, after, error
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._store, name)
        if name not in WRITES:
            return real

        def call(*args: Any, **options: Any) -> Any:
            self.calls.append(name)
            fails = len(self.calls) - 1 == self._at
            if fails and not self._after:
                raise self._error("the server is gone")
            answer = real(*args, **options)
            if fails:
                raise self._error("the answer got lost")
            return answer

        return call


@pytest.fixture
def reference(store: Store) -> dict[str, Any]:
    """What an untroubled projection of the whole history leaves."""
    whole = projection(store, "reference")
    for record in history("reference"):
        whole.take(record)
    whole.take(END)
    whole.write()
    assert whole.unsent == 0
    return contents(store, "reference")


def test_statuses_outcomes_and_attempts_are_as_the_log_says(reference: dict[str, Any]) -> None:
    told = {name: (run["status"], run["tags"].get(names.OUTCOME), run["tags"].get(names.ATTEMPT))
            for name, run in reference.items()}
    assert told == {"SWEEP": ("FINISHED", "completed", None), "t0000": ("FINISHED", "completed", "1"),
                    "t0001": ("FINISHED", "pruned", "1"), "t0002": ("FAILED", "failed", "2"),
                    "t0003": ("FINISHED", "completed", "2")}
    assert reference["t0002"]["tags"][names.REASON] == "the loss is no number"
    weights = {name: run["tags"].get(names.WEIGHTS) for name, run in reference.items()}
    assert weights == {"SWEEP": None, "t0000": "of t0000 after 2", "t0001": "of t0001 after 1", "t0002": None,
                       "t0003": "of t0003 after 2"}


def test_each_trial_has_its_rows_data_configuration_and_lineage(reference: dict[str, Any]) -> None:
    trial, log = reference["t0003"], history("reference")
    by_epoch = {r["epoch"]: r for r in log if r["event"] == "result" and r["trial"] == "t0003"}
    assert [row for row in trial["metrics"] if row[0] == "val/mae"] == [
        ("val/mae", 1, 5.0, by_epoch[1]["ts"]), ("val/mae", 2, 4.0, by_epoch[2]["ts"])]
    assert trial["inputs"] == [("traffic", MD5)]
    assert trial["params"] == [("lr", "0.2"), ("model.hidden_size", "8")]
    config = trial_config({"model.hidden_size": 8}, 3)
    assert yaml.safe_load(trial["files"]["config.yaml"]) == config
    lock = json.loads(trial["files"]["lock.json"])
    wanted = digest({key: value for key, value in config.items() if key != "name"})
    assert lock["config_digest"] == trial["tags"][names.CONFIG_DIGEST] == wanted
    assert lock["seeds"] == {"seed": 103}
    assert trial["tags"][names.LOCK_DIGEST] == hashlib.sha256(trial["files"]["lock.json"].encode()).hexdigest()
    assert trial["files"]["diff.patch"] == "--- a\n+++ b\n"
    assert trial["tags"] | {names.TRIAL_ID: "SWEEP/t0003", names.PARENT: "SWEEP", names.COMMIT: "c0ffee",
                            names.DATA_MD5: MD5, names.SWEEP_ID: "SWEEP"} == trial["tags"]
    assert (trial["started"], trial["ended"]) == (next(r["ts"] for r in log if r.get("number") == 3), by_epoch[2]["ts"])


def test_the_parent_holds_question_answer_scores_and_the_way_to_the_charts(reference: dict[str, Any]) -> None:
    parent = reference["SWEEP"]
    note = parent["tags"][names.NOTE]
    question, answer, *_ = note.split("\n\n")
    assert question.startswith("**which one?**  \n[All trials](#/experiments/")
    assert "compareRunsMode=CHART" in question
    assert "artifactPath/report/index.html" in question
    assert answer == "It went well."
    assert "| t0000&emsp; | 2&emsp; | hidden_size 32, lr 0.1 |" in note
    assert parent["tags"][names.BEST_TRIAL] == "t0000"
    assert [row[:3] for row in parent["metrics"]] == [("baseline/test/mae", 1, 5.0), ("test/mae", 1, 2.5)]
    assert [row[:3] for row in reference["t0000"]["metrics"] if row[0] == "test/mae"] == [("test/mae", 2, 2.5)]


def test_a_driver_cut_off_after_any_record_leaves_nothing_that_a_resume_does_not_mend(
        store: Store, reference: dict[str, Any]) -> None:
    for cut in range(1, len(history()) + 1):
        sweep_id = f"cut-{cut}"
        log = history(sweep_id)
        first = projection(store, sweep_id)
        for record in log[:cut]:
            first.take(record)
        first.write()
        second = projection(store, sweep_id)
        for record in [*log, END]:
            second.take(record)
        second.write()
        assert contents(store, sweep_id) == reference, f"cut after record {cut}"


def short(sweep_id: str) -> list[Any]:
    """One trial, stopped and resumed on the way, and the end: every kind of write, in some twenty calls."""
    kept = [r for r in history(sweep_id) if r.get("trial") in (None, "t0003")]
    best = {"event": "best", "trial": "t0003", "test": {"test/mae": 2.5}, "ts": kept[-1]["ts"]}
    return [*kept[:-1], best, kept[-1], END]


def rounds(sweep_id: str) -> list[list[Any]]:
    """The short history as it goes out: up to the stop, the resume, the rest."""
    items = short(sweep_id)
    cuts = [next(i for i, item in enumerate(items) if item["event"] == event) + 1 for event in ("stop", "resume")]
    return [items[:cuts[0]], items[cuts[0]:cuts[1]], items[cuts[1]:]]


def play(store: Any, sweep_id: str) -> None:
    """Project the short history; a round that fails is tried again."""
    sweep = projection(store, sweep_id)
    for part in rounds(sweep_id):
        for item in part:
            sweep.take(item)
        try:
            sweep.write()
        except StoreError:
            assert sweep.unsent > 0
            sweep.write()
        assert sweep.unsent == 0


def die(store: Any, sweep_id: str) -> None:
    """The same, ended by the first failure."""
    sweep = projection(store, sweep_id)
    try:
        for part in rounds(sweep_id):
            for item in part:
                sweep.take(item)
            sweep.write()
    except StoreError:
        return
    pytest.fail("nothing failed")


@pytest.fixture
def untroubled(store: Store) -> tuple[list[str], dict[str, Any]]:
    """The writes of the short history, and what they leave."""
    counting = Unsteady(store)
    play(counting, "untroubled")
    return counting.calls, contents(store, "untroubled")


@pytest.mark.parametrize("after", [False, True], ids=["before it is done", "before its answer"])
def test_a_store_that_fails_at_any_call_loses_and_doubles_nothing_on_a_retry(
        store: Store, untroubled: tuple[list[str], dict[str, Any]], after: bool) -> None:
    calls, reference = untroubled
    assert set(calls) == set(WRITES) - {"delete_run"}
    for at, name in enumerate(calls):
        if name not in ("write_text", "log_inputs"):  # which are tried below
            unsteady = Unsteady(store, at, after=after)
            play(unsteady, f"retry-{at}")
            assert contents(store, f"retry-{at}") == reference, f"call {at} ({name})"
            assert "delete_run" not in unsteady.calls, "the run whose answer got lost is found, not doubled"


@pytest.mark.parametrize("after", [False, True], ids=["before it is done", "before its answer"])
def test_a_driver_that_dies_at_any_call_loses_and_doubles_nothing_after_a_resume(
        store: Store, untroubled: tuple[list[str], dict[str, Any]], after: bool) -> None:
    calls, reference = untroubled
    for at, name in enumerate(calls):
        die(Unsteady(store, at, after=after), f"died-{at}")
        resumed = projection(store, f"died-{at}")
        for item in short(f"died-{at}"):
            resumed.take(item)
        resumed.write()
        assert contents(store, f"died-{at}") == reference, f"call {at} ({name})"


def test_a_stop_kills_the_open_trials_and_a_resume_runs_them_again(store: Store) -> None:
    log, sweep = history(), projection(store)
    stop = next(i for i, record in enumerate(log) if record["event"] == "stop")
    for record in log[:stop + 1]:
        sweep.take(record)
    sweep.write()
    shown = contents(store)
    assert {name: run["status"] for name, run in shown.items()} == {
        "SWEEP": "KILLED", "t0000": "FINISHED", "t0001": "FINISHED", "t0002": "FAILED", "t0003": "KILLED"}
    assert shown["t0003"]["tags"][names.OUTCOME] == "stopped"
    assert shown["t0003"]["ended"] == log[stop]["ts"]
    sweep.take(log[stop + 1])
    sweep.write()
    shown = contents(store)
    assert (shown["SWEEP"]["status"], shown["t0003"]["status"]) == ("RUNNING", "RUNNING")
    assert names.OUTCOME not in shown["t0003"]["tags"]


def test_what_is_open_in_the_log_is_not_closed_by_a_restart(store: Store) -> None:
    for _ in range(2):
        sweep = projection(store)
        for record in history()[:8]:
            sweep.take(record)
        sweep.write()
    assert {run["status"] for run in contents(store).values()} == {"RUNNING"}


def test_a_restart_sends_nothing_of_finished_trials_again(store: Store) -> None:
    first = projection(store)
    for record in history():
        first.take(record)
    first.write()
    counting = Unsteady(store)
    second = projection(counting)  # type: ignore[arg-type]
    for record in history():
        second.take(record)
    second.write()
    trial_ids = [second.run_id(f"t{n:04d}") for n in range(4)]
    assert trial_ids == [first.run_id(f"t{n:04d}") for n in range(4)]
    assert "create_run" not in counting.calls
    assert "set_terminated" not in counting.calls
    assert "log_batch" not in counting.calls


def test_creates_that_arrive_late_are_deleted_by_their_tag(store: Store) -> None:
    sweep = projection(store)
    for record in history():
        sweep.take(record)
    sweep.write()
    before, parent = contents(store), parent_of(sweep)
    experiment = store.experiment("traffic")
    late = {names.SWEEP_ID: "s-1", names.KIND: "trial", names.TRIAL_ID: "s-1/t0001", names.PARENT: parent}
    twin = {names.SWEEP_ID: "s-1", names.KIND: "sweep"}
    doubles = [store.create_run(experiment, "t0001", late, 1).run_id,
               store.create_run(experiment, "s-1", twin, 9).run_id]
    sweep.take(END)
    sweep.write()
    assert not {run.run_id for run in store.runs_of("s-1")} & set(doubles)
    assert {n: run for n, run in contents(store).items() if n != "SWEEP"} == {
        n: run for n, run in before.items() if n != "SWEEP"}


def test_a_double_found_at_the_start_goes_and_the_fuller_run_stays(store: Store) -> None:
    sweep = projection(store)
    for record in history():
        sweep.take(record)
    sweep.write()
    kept = sweep.run_id("t0000")
    tags = {names.SWEEP_ID: "s-1", names.KIND: "trial", names.TRIAL_ID: "s-1/t0000"}
    store.create_run(store.experiment("traffic"), "t0000", tags, 1)  # older than the bound one, and empty
    again = projection(store)
    for record in history():
        again.take(record)
    again.write()
    assert again.run_id("t0000") == kept
    contents(store)  # fails on a double


def test_a_run_of_a_trial_that_the_log_does_not_know_is_left_alone_and_said(store: Store) -> None:
    tags = {names.SWEEP_ID: "s-1", names.KIND: "trial", names.TRIAL_ID: "s-1/t0099"}
    stray = store.create_run(store.experiment("traffic"), "t0099", tags, 1).run_id
    said: list[str] = []
    sweep = projection(store, said=said)
    for record in [*history(), END]:
        sweep.take(record)
    sweep.write()
    assert any("t0099" in line for line in said)
    assert store.get_run(stray).status == "RUNNING"
    assert stray in {run.run_id for run in store.runs_of("s-1")}


def copying(sweep_id: str) -> list[Any]:
    """Three trials of which one copies another twice, the second time one that has copied itself."""
    log: list[dict[str, Any]] = [{"event": "sweep", "sweep_id": sweep_id, "name": "traffic",
                                  "spec": {"objective": {"metric": "val/mae", "mode": "min"}}}]
    params = {f"t{n:04d}": {"model.hidden_size": 8, "lr": 0.1 * (n + 1), "rule": "sgd"} for n in range(3)}
    log += [{"event": "new", "trial": name, "number": int(name[1:]), "params": params[name]} for name in params]
    copies = {1: [("t0002", "t0001", 0.3)], 2: [("t0001", "t0000", 0.05), ("t0002", "t0000", 0.4)],
              3: [("t0002", "t0001", 0.6)]}
    for epoch in (1, 2, 3, 4):
        for name in params:
            log.append({"event": "start", "trial": name, "attempt": epoch, "epoch": epoch - 1})
            log.append({"event": "result", "trial": name, "attempt": epoch, "epoch": epoch, "final": epoch == 4,
                        "metrics": {"val/mae": 1.0 / epoch}, "checkpoint": f"{name}/e{epoch}", "weights": "",
                        "decision": "continue" if epoch == 4 else "pause",
                        "outcome": "completed" if epoch == 4 else None})
        changes = []
        for name, donor, rate in copies.get(epoch, []):
            now = {"model.hidden_size": 8, "lr": rate, "rule": "adam"}
            changes.append({"trial": name, "from": donor, "checkpoint": f"{donor}/e{epoch}", "seed": 7,
                            "was": params[name], "params": now})
        params |= {change["trial"]: change["params"] for change in changes}
        if epoch < 4:
            log.append({"event": "mutate", "epoch": epoch, "changes": changes})
    log.append({"event": "done", "outcomes": {"completed": 3}})
    return [{**record, "ts": 1_700_000_000_000 + 1000 * number} for number, record in enumerate(log)]


def with_rate(params: Any, number: int) -> dict[str, Any]:
    return {**trial_config(params, number), "optimizer": {"lr": params["lr"], "rule": params["rule"]}}


def test_values_that_change_are_metrics_and_a_file_and_the_parameters_stay_the_first(store: Store) -> None:
    sweep = projection(store)
    sweep._trial_config = with_rate
    for record in copying("s-1"):
        sweep.take(record)
        sweep.write()  # so that every change meets a run that is there
    assert sweep.unsent == 0
    trial = contents(store)["t0002"]
    assert trial["params"] == [("lr", "0.30000000000000004"), ("model.hidden_size", "8"), ("rule", "sgd")]
    assert [row[:3] for row in trial["metrics"] if row[0] == "mutation/lr"] == [
        ("mutation/lr", 0, 0.1 * 3), ("mutation/lr", 1, 0.3), ("mutation/lr", 2, 0.4), ("mutation/lr", 3, 0.6)]
    assert not any(row[0] in ("mutation/rule", "mutation/model.hidden_size") for row in trial["metrics"])
    lines = [json.loads(line) for line in trial["files"]["mutations.jsonl"].splitlines()]
    assert [(line["epoch"], line["from"], line["params"]["lr"]) for line in lines] == [
        (1, "t0001", 0.3), (2, "t0000", 0.4), (3, "t0001", 0.6)]
    assert trial["tags"][names.DONOR] == "t0001 after 3"
    assert trial["inputs"] == [("traffic", MD5)]
    assert names.DONOR not in contents(store)["t0000"]["tags"]


def test_a_copied_trials_configuration_is_that_of_all_who_led_to_its_weights(store: Store) -> None:
    sweep = projection(store)
    sweep._trial_config = with_rate
    for record in copying("s-1"):
        sweep.take(record)
    sweep.write()
    trial = contents(store)["t0002"]
    config = yaml.safe_load(trial["files"]["config.yaml"])
    assert (config["seed"], config["optimizer"]) == (100, {"lr": 0.1, "rule": "sgd"})
    assert config["changes"] == [
        {"after_epoch": 2, "values": {"seed": 101, "optimizer.lr": 0.05, "optimizer.rule": "adam"}},
        {"after_epoch": 3, "values": {"seed": 102, "optimizer.lr": 0.6}}]
    lock = json.loads(trial["files"]["lock.json"])
    assert lock["config"] == config
    assert lock["config_digest"] == trial["tags"][names.CONFIG_DIGEST]
    assert trial["tags"][names.LOCK_DIGEST] == hashlib.sha256(trial["files"]["lock.json"].encode()).hexdigest()
    assert "changes" not in yaml.safe_load(contents(store)["t0000"]["files"]["config.yaml"])


def test_a_driver_cut_off_around_a_change_leaves_nothing_that_a_resume_does_not_mend(store: Store) -> None:
    def told(sweep_id: str, *parts: list[Any]) -> dict[str, Any]:
        for part in parts:
            sweep = projection(store, sweep_id)
            sweep._trial_config = with_rate
            for record in part:
                sweep.take(record)
            sweep.write()
        return contents(store, sweep_id)

    whole = told("whole", copying("whole"))
    for cut, record in enumerate(copying("whole")):
        if record["event"] == "mutate":
            for at in (cut, cut + 1):
                log = copying(f"cut-{at}")
                assert told(f"cut-{at}", log[:at], log) == whole, at


def test_a_run_deleted_by_hand_is_said_once_and_holds_up_no_other(store: Store) -> None:
    said: list[str] = []
    log, sweep = history(), projection(store, said=said)
    for record in log[:8]:
        sweep.take(record)
    sweep.write()
    store.delete_run(str(sweep.run_id("t0000")))
    for record in [*log[8:], END]:
        sweep.take(record)
        sweep.write()
    assert [line for line in said if "t0000" in line] == said[:1]
    shown = contents(store)
    assert sorted(shown) == ["SWEEP", "t0001", "t0002", "t0003"]
    assert {run["status"] for run in shown.values()} == {"FINISHED", "FAILED"}


def test_a_value_that_mlflow_refuses_is_said_and_the_sweep_goes_on(store: Store) -> None:
    said: list[str] = []
    unsteady = Unsteady(store, 6, error=Refused)
    sweep = projection(unsteady, said=said)  # type: ignore[arg-type]
    for record in [*history(), END]:
        sweep.take(record)
    sweep.write()
    assert sweep.unsent == 0
    assert len(said) == 1
    assert contents(store)["SWEEP"]["status"] == "FINISHED"


def test_artifacts_go_to_their_runs_and_missing_ones_are_said(store: Store, tmp_path: Any) -> None:
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "index.html").write_text("<p>")
    said: list[str] = []
    sweep = projection(store, said=said)
    for record in history():
        sweep.take(record)
    sweep.take(Copy(PARENT, tmp_path / "report", "report"))
    sweep.take(Copy("t0000", tmp_path / "report" / "index.html", None))
    sweep.take(Copy("t0000", tmp_path / "gone.png", None))
    sweep.write()
    assert store.artifact(parent_of(sweep), "report/index.html").read_text() == "<p>"
    assert store.artifact(str(sweep.run_id("t0000")), "index.html").is_file()
    assert len(said) == 1
    assert "gone.png" in said[0]


def test_a_second_best_after_an_extension_adds_a_row_and_takes_none_away(store: Store) -> None:
    sweep = projection(store)
    log = history()
    for record in [*log, END]:
        sweep.take(record)
    sweep.write()
    ts = log[-1]["ts"]
    more = [{"event": "extend", "budget": {}, "ts": ts + 1}, {"event": "resume", "ts": ts + 2},
            {"event": "best", "trial": "t0003", "test": {"test/mae": 2.0}, "baseline": {"name": "b", "metrics": {}},
             "ts": ts + 3}]
    for record in more:
        sweep.take(record)
    sweep.write()
    shown = contents(store)
    assert shown["SWEEP"]["status"] == "RUNNING"
    assert shown["SWEEP"]["tags"][names.BEST_TRIAL] == "t0003"
    assert [row[:3] for row in shown["SWEEP"]["metrics"] if row[0] == "test/mae"] == [
        ("test/mae", 1, 2.5), ("test/mae", 2, 2.0)]
