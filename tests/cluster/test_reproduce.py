"""A whole sweep again, on a real Ray: trials that were pruned and trials of a dirty tree too."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from command_line import end, log_of, start, write_project

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(420)]

EXPERIMENT = """
task: toy_task:ToyTask
data: {examples: 64}
trainer: {max_epochs: 4, batch_size: 32}
"""
SWEEP = """
name: toy
experiment: {file: exp.yaml}
objective: {metric: val/mae}
space:
  model.hidden_size: {choice: [4, 8]}
  optimizer.lr: {log_uniform: [1e-4, 1e-1]}
search: {name: random, seed: 3}
scheduler: {name: asha, grace_epochs: 1, reduction: 2}
budget: {trials: 4, concurrent: 1}
"""


def test_every_trial_and_every_decision_of_a_sweep_comes_again(
        tmp_path: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = write_project(tmp_path, EXPERIMENT, SWEEP)
    commit = ["-c", "user.name=A", "-c", "user.email=a@b", "commit", "-qm", "first"]
    for words in (["init", "-q"], ["add", "."], commit):
        subprocess.run(["git", "-C", str(folder), *words], check=True)
    code, out, err = end(start("sweep", "sweep.yaml", "--id", "again", "--json"))
    assert code == 0, err
    outcomes = json.loads(out)["outcomes"]
    assert outcomes["pruned"] >= 1
    assert outcomes["completed"] >= 1
    code, out, err = end(start("reproduce", "again", "--json"))
    assert code == 0, err
    answer = json.loads(out)
    assert (answer["sweep_id"], answer["verdict"], answer["other_decisions"]) == ("again", "bitwise", 0)
    records = log_of(own_home, "again")
    results = [r for r in records if r["event"] == "result"]
    assert answer["decisions"] == len(results) + 4
    assert {name: each["verdict"] for name, each in answer["trials"].items()} == {
        f"again/t{number:04d}": "bitwise" for number in range(4)}  # fmt: skip
    for name, each in answer["trials"].items():  # three values of every epoch, and the weights
        epochs = sum(r["trial"] == name.rpartition("/")[2] for r in results)
        assert each["compared"] >= 3 * epochs + 1, name
    code, out, _ = end(start("reproduce", "again", "--epochs", "1"))
    assert (code, out) == (2, "")
