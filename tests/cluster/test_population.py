"""Trials that copy each other on a real Ray: weights, values, MLflow and repetition, killed on the way."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import end, kill, log_of, rows, start, wait_for, write_project

from gatesweep.storage import place
from gatesweep.sweep.replay import replay

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(420)]

EXPERIMENT = """
task: toy_task:ToyTask
data: {examples: 64, pause_s: 0.1}
model: {hidden_size: 8}
trainer: {max_epochs: 6, batch_size: 32}
schedule: {name: cosine}
"""
SWEEP = """
name: toy
experiment: {file: exp.yaml}
objective: {metric: val/mae}
space:
  optimizer.lr: {log_uniform: [1e-4, 1e-1]}
  model.dropout: {uniform: [0.0, 0.5]}
search: {name: random, seed: 2}
scheduler: {name: pbt, interval_epochs: 2}
budget: {trials: 4, concurrent: 2}
"""


@pytest.fixture
def folder(tmp_path: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = write_project(tmp_path, EXPERIMENT, SWEEP)
    commit = ["-c", "user.name=A", "-c", "user.email=a@b", "commit", "-qm", "first"]
    for words in (["init", "-q"], ["add", "exp.yaml", "sweep.yaml"], commit):
        subprocess.run(["git", "-C", str(folder), *words], check=True)
    return folder


def _swept(*words: str) -> dict[str, Any]:
    code, out, err = end(start(*words, "--json"))
    assert code == 0, err
    return json.loads(out)


def _story(records: list[dict[str, Any]]) -> list[Any]:
    """What was decided and measured, whatever came first."""
    told = [(r["trial"], r["epoch"], r["weights"],
             {key: value for key, value in r["metrics"].items() if not key.startswith("time/")})
            for r in records if r["event"] == "result"]  # fmt: skip
    proposals = [r["params"] for r in records if r["event"] == "new"]
    copies = [[(c["trial"], c["from"], c["params"]) for c in r["changes"]] for r in records if r["event"] == "mutate"]
    return [sorted(told, key=lambda row: row[:2]), proposals, copies]


def test_a_killed_population_trains_what_a_calm_one_does_and_its_trials_come_again(folder: Path, own_home: Path):
    _swept("sweep", "sweep.yaml", "--id", "calm", "--set", "budget.concurrent=1")
    process = start("sweep", "sweep.yaml", "--id", "wild")
    wait_for(own_home, "wild", 11, process)  # within the second round
    kill(process)
    answer = _swept("resume", "wild")
    calm, wild = log_of(own_home, "calm"), log_of(own_home, "wild")
    assert _story(wild) == _story(calm)
    compared, differences = replay(place(own_home / "sweeps" / "wild"))
    assert differences == []
    assert compared == 4 + 4 * 6 + 2
    assert answer["outcomes"] == {"completed": 4, "pruned": 0, "failed": 0, "stopped": 0}
    _check_tracking(own_home, wild)
    copied = next(c["trial"] for r in reversed(wild) if r["event"] == "mutate" for c in r["changes"])
    code, out, err = end(start("reproduce", f"wild/{copied}", "--json"))
    assert code == 0, err
    assert json.loads(out)["verdict"] == "bitwise"
    assert json.loads(out)["compared"] == 3 * 2 + 1  # of the two epochs since its copy, and the weights
    code, _, err = end(start("reproduce", f"wild/{copied}", "--epochs", "2"))
    assert code == 2
    assert "took another's weights after epoch 4" in err


def _check_tracking(home: Path, records: list[dict[str, Any]]) -> None:
    """One run per trial, its first parameters, its changed values as metrics, each row once."""
    assert rows(home, "select count(*) from (select 1 from metrics group by run_uuid, key, step "
                      "having count(*) > 1)") == [(0,)]  # fmt: skip
    assert rows(home, "select distinct status from runs") == [("FINISHED",)]
    of_wild = ("select r.run_uuid, r.name from runs r join tags t on t.run_uuid = r.run_uuid and "
               "t.key = 'gatesweep.sweep_id' and t.value = 'wild' where r.name like 't0%'")  # fmt: skip
    runs = {name: run_id for run_id, name in rows(home, of_wild)}
    assert sorted(runs) == ["t0000", "t0001", "t0002", "t0003"]
    for r in records:
        if r["event"] == "new":
            logged = dict(rows(home, f"select key, value from params where run_uuid = '{runs[r['trial']]}'"))
            assert float(logged["optimizer.lr"]) == r["params"]["optimizer.lr"]
        elif r["event"] == "mutate":
            for c in r["changes"]:
                assert rows(home, f"select value from metrics where run_uuid = '{runs[c['trial']]}' and "
                                  f"key = 'mutation/optimizer.lr' and step = {r['epoch']}") == [
                    (c["params"]["optimizer.lr"],)]  # fmt: skip


def test_a_copy_goes_on_from_the_donors_weights_with_its_own_rate(folder: Path, own_home: Path):
    """In the checkpoints that the trials themselves wrote and kept."""
    words = ("--set", "keep.checkpoints=all", "--set", "keep.top=4", "--set", "experiment.schedule.name=constant",
             "--set", "experiment.trainer.max_epochs=4")  # fmt: skip
    _swept("sweep", "sweep.yaml", "--id", "kept", *words)
    with sqlite3.connect(f"file:{own_home / 'mlflow.db'}?mode=ro", uri=True) as database:
        places = dict(database.execute("select name, artifact_uri from runs where name like 't0%'"))
    change = next(c for r in log_of(own_home, "kept") if r["event"] == "mutate" for c in r["changes"])

    def saved(trial: str, epoch: int) -> Any:
        at = Path(places[trial].removeprefix("file://")) / "checkpoints" / f"e{epoch:04d}" / "state.ckpt"
        return torch.load(at, weights_only=True)

    donor, copy = saved(change["from"], 2), saved(change["trial"], 3)
    group = copy["optimizer_states"][0]["param_groups"][0]
    assert group["lr"] == change["params"]["optimizer.lr"] != donor["optimizer_states"][0]["param_groups"][0]["lr"]
    steps = [state["optimizer_states"][0]["state"][0]["step"] for state in (donor, copy)]
    assert steps == [4, 6]


def test_bandits_are_replayed_after_a_kill(folder: Path, own_home: Path):
    process = start("sweep", "sweep.yaml", "--id", "bandit", "--set", "scheduler.name=pb2")
    wait_for(own_home, "bandit", 18, process)
    kill(process)
    answer = _swept("resume", "bandit")
    assert answer["outcomes"]["completed"] == 4
    compared, differences = replay(place(own_home / "sweeps" / "bandit"))
    assert (compared, differences) == (4 + 4 * 6 + 2, [])
    assert answer["best"]["config"]["trainer"]["max_epochs"] == 6
    assert {"epoch", "from", "was", "params"} >= {key for each in answer["best"]["mutations"] for key in each}
