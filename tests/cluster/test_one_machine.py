"""A sweep on a real Ray of this machine, killed and interrupted; Ray Tune executes, the log is the truth."""

import json
import os
import random
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import ray
from command_line import end, kill, log_of, rows, start, wait_for, write_project

from gatesweep.storage import place
from gatesweep.sweep import cluster
from gatesweep.sweep.replay import replay

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(420)]

EXPERIMENT = """
task: toy_task:ToyTask
data: {examples: 128, pause_s: 0.3}
trainer: {max_epochs: 9, batch_size: 32}
"""
SWEEP = """
name: toy
experiment: {file: exp.yaml}
objective: {metric: val/mae}
space:
  model.hidden_size: {choice: [4, 8, 16]}
  model.dropout: {uniform: [0.0, 0.5]}
  optimizer.name: {choice: [adamw, sgd]}
  optimizer.momentum: {uniform: [0.0, 0.9], when: {optimizer.name: sgd}}
  optimizer.lr: {log_uniform: [1e-3, 1e-1]}
search: {name: tpe, seed: 1, startup_trials: 4}
scheduler: {name: asha, grace_epochs: 2}
budget: {trials: 12, concurrent: 2}
"""


@pytest.fixture
def folder(tmp_path: Path, own_home: Path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write_project(tmp_path, EXPERIMENT, SWEEP)


def test_the_token_of_a_cluster_of_its_own_ends_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else what this process joins or submits to next would be spoken to with the wrong one."""
    names = (cluster.MODE, *cluster.TOKENS)
    for name in names:
        monkeypatch.delenv(name, raising=False)
    assert cluster.can_start() == ray.__version__
    assert not any(name in os.environ for name in names)


def _ray_processes(home: Path) -> list[str]:
    """Processes of Ray whose environment names this home."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            mine = str(home).encode() in (entry / "environ").read_bytes()
        except OSError:
            continue
        if mine and any(name in command for name in ("raylet", "gcs_server", "ray::")):
            found.append(command[:80])
    return found


def _metrics(records: list[dict]) -> dict:
    return {
        (r["trial"], r["epoch"]): {k: v for k, v in r["metrics"].items() if not k.startswith("time/")}
        for r in records
        if r["event"] == "result"
    }


@pytest.mark.parametrize("kills", [2, pytest.param(5, marks=pytest.mark.slow)])
def test_a_driver_that_is_killed_again_and_again_loses_no_trial_and_doubles_none(
    folder: Path, own_home: Path, kills: int
):
    rng = random.Random(7)
    process = start("sweep", "sweep.yaml", "--id", "killed", "--json")
    finished_before: dict[str, tuple] = {}
    for at in sorted(rng.sample(range(1, 40), kills)):
        wait_for(own_home, "killed", at, process)
        kill(process)
        finished = dict(rows(own_home, "select run_uuid, end_time from runs where status = 'FINISHED'"))
        assert finished_before.items() <= finished.items()
        finished_before = finished
        process = start("resume", "killed", "--json")
    code, out, err = end(process)
    assert code == 0, err
    answer = json.loads(out)
    assert answer["trials"] == 12
    assert sum(answer["outcomes"].values()) == 12
    assert answer["outcomes"]["stopped"] == answer["outcomes"]["failed"] == 0
    statuses = rows(own_home, "select status, count(*) from runs where lifecycle_stage = 'active' group by status")
    assert statuses == [("FINISHED", 13)]
    assert finished_before.items() <= dict(rows(own_home, "select run_uuid, end_time from runs")).items()
    doubled = rows(
        own_home, "select count(*) from (select 1 from metrics group by run_uuid, key, step having count(*) > 1)"
    )
    assert doubled == [(0,)]
    records = log_of(own_home, "killed")
    recorded = rows(own_home, "select count(*) from metrics where key = 'val/mae'")[0][0]
    assert recorded == sum(r["event"] == "result" for r in records)
    compared, differences = replay(place(own_home / "sweeps" / "killed"))
    assert differences == []
    assert compared > 24
    assert _ray_processes(own_home) == []


@pytest.mark.slow
def test_one_at_a_time_the_same_seed_gives_the_same_proposals_and_metrics_killed_or_not(folder: Path, own_home: Path):
    small = ("--set", "budget.concurrent=1", "--set", "budget.trials=5")
    code, _, err = end(start("sweep", "sweep.yaml", "--id", "calm", *small))
    assert code == 0, err
    process = start("sweep", "sweep.yaml", "--id", "wild", *small)
    wait_for(own_home, "wild", 12, process)
    kill(process)
    code, _, err = end(start("resume", "wild"))
    assert code == 0, err
    calm, wild = log_of(own_home, "calm"), log_of(own_home, "wild")
    proposals = [[r["params"] for r in records if r["event"] == "new"] for records in (calm, wild)]
    assert proposals[0] == proposals[1]
    assert _metrics(calm) == _metrics(wild)


def test_ctrl_c_stops_cleanly_and_resume_goes_on(folder: Path, own_home: Path):
    process = start("sweep", "sweep.yaml", "--id", "stopped", "--json", "--set", "budget.trials=6")
    wait_for(own_home, "stopped", 5, process)
    os.kill(process.pid, signal.SIGINT)
    code, out, err = end(process)
    assert code == 130, err
    assert out == ""
    assert "gatesweep resume stopped" in err
    assert "Traceback" not in err
    statuses = dict(rows(own_home, "select status, count(*) from runs group by status"))
    assert statuses.get("RUNNING", 0) == 0
    assert statuses["KILLED"] >= 2
    assert _ray_processes(own_home) == []
    code, out, err = end(start("resume", "stopped", "--json"))
    assert code == 0, err
    assert json.loads(out)["outcomes"]["stopped"] == 0
    assert rows(own_home, "select distinct status from runs") == [("FINISHED",)]


def test_workers_read_the_drivers_data_and_download_nothing(own_home: Path, root: Path, monkeypatch):
    monkeypatch.chdir(root)
    code, _, err = end(start("data", "pull", "traffic"))
    assert code == 0, err
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    tiny = (
        "experiment.trainer.max_epochs=2",
        "experiment.data.fraction=0.05",
        "budget.trials=2",
        "experiment.data.eval_stride=24",
    )
    settings = [word for setting in tiny for word in ("--set", setting)]
    code, out, err = end(start("sweep", "configs/sweeps/traffic.yaml", "--id", "offline", "--json", *settings))
    assert code == 0, err
    assert json.loads(out)["outcomes"] == {"completed": 2, "pruned": 0, "failed": 0, "stopped": 0}
    digests = rows(own_home, "select distinct digest from datasets")
    assert digests == [(log_of(own_home, "offline")[0]["data"]["traffic"],)]
    assert digests[0][0] in (root / "data.dvc").read_text()


INTERFACE = """
import gatesweep, torch
swept = gatesweep.sweep("sweep.yaml", sweep_id="python", overrides=["budget.trials=3", "scheduler.name=none"])
trials = swept.trials()
assert list(trials["outcome"]) == ["completed"] * 3
assert swept.best["metrics"]["val/mae"] == trials["val/mae"].min()
model = gatesweep.load("best:python")
scored = gatesweep.evaluate(swept.best["trial_id"], split="test").metrics["test/mae"]
assert scored == swept.best["metrics"]["test/mae"]
assert isinstance(model, torch.nn.Module)
again = gatesweep.resume("python")
assert (again.best, again.outcomes) == (swept.best, swept.outcomes)
more = gatesweep.resume("python", overrides=["budget.trials=4"])
assert more.outcomes["completed"] == 4
assert gatesweep.load("best:python") is not None
"""
SERIES = """
import gatesweep
for number in range(3):
    gatesweep.sweep("sweep.yaml", sweep_id=f"series-{number}", overrides=["budget.trials=2"])
"""


def _in_one_process(script: str) -> None:
    command = [sys.executable, "-c", f"if __name__ == '__main__':\n{textwrap.indent(script, '    ')}"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr


def test_the_python_interface_sweeps_lists_trials_and_loads_the_best(folder: Path, own_home: Path):
    _in_one_process(INTERFACE)
    assert [r["outcomes"]["completed"] for r in log_of(own_home, "python") if r["event"] == "done"] == [3, 4]


@pytest.mark.slow
def test_one_process_runs_one_sweep_after_the_other(folder: Path, own_home: Path):
    _in_one_process(SERIES)
    for number in range(3):
        assert log_of(own_home, f"series-{number}")[-1]["event"] == "done"
    assert _ray_processes(own_home) == []
