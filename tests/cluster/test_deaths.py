"""Deaths of real workers, each with its class in the log, in the tags and in the report, and what follows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import end, log_of, rows, start, write_project
from dying import deaths_of

from gatesweep.sweep import cluster

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
  model.hidden_size: {choice: [4, 8, 16]}
  optimizer.lr: {log_uniform: [1e-3, 1e-1]}
search: {name: random, seed: 1}
scheduler: {name: none}
budget: {trials: 4, concurrent: 1}
"""


@pytest.fixture
def folder(tmp_path: Path, own_home: Path, monkeypatch) -> Path:
    (tmp_path / "marks").mkdir()
    monkeypatch.chdir(tmp_path)
    return write_project(tmp_path, EXPERIMENT, SWEEP)


def _sweep(sweep_id: str, *settings: str) -> tuple[int, str, str]:
    return end(start("sweep", "sweep.yaml", "--id", sweep_id, "--json", *(w for s in settings for w in ("--set", s))))


def _deaths(home: Path, sweep_id: str) -> list[tuple[str, str, bool]]:
    return [(r["class"], r["policy"], r["final"]) for r in log_of(home, sweep_id) if r["event"] == "fail"]


TOLD = {
    "die": ("crash", "counted", False),
    "hang": ("timeout", "counted", False),
    "memory": ("out_of_memory", "counted", False),
    "nan": ("nan", "fail", True),
}


def test_a_dying_worker_is_tried_again_and_a_hopeless_trial_is_not_the_sweeps_end(folder: Path, own_home: Path):
    """One trial of each kind, at a learning rate at which `nan` is one."""
    code, out, err = _sweep(
        "all", f"space={{data.trouble: {{choice: [{', '.join(TOLD)}]}}}}", "search.name=grid", "budget.concurrent=2",
        f"experiment.data.marks={folder / 'marks'}", "experiment.optimizer.lr=0.9", "failure.timeout_s=30")  # fmt: skip
    assert code == 0, err
    assert json.loads(out)["outcomes"] == {"completed": 3, "pruned": 0, "failed": 1, "stopped": 0}
    records = log_of(own_home, "all")
    trouble = {r["trial"]: r["params"]["data.trouble"] for r in records if r["event"] == "new"}
    fails = [r for r in records if r["event"] == "fail"]
    assert {(trouble[r["trial"]], (r["class"], r["policy"], r["final"])) for r in fails} == set(TOLD.items())
    assert len(list((folder / "marks").iterdir())) == 3
    assert all("loss is nan" in r["reason"] for r in fails if r["final"])
    told = {kind for kind, _, _ in TOLD.values()}
    assert {value for (value,) in rows(own_home, "select value from tags where key = 'gatesweep.failures'")} == told
    statuses = dict(rows(own_home, "select status, count(*) from runs group by status"))
    assert statuses == {"FINISHED": 4, "FAILED": 1}
    page = Path(json.loads(out)["report"]).read_text()
    assert all(words in page for words in ("the process died", "too slow", "out of memory", "not a number"))


def test_the_same_error_in_three_trials_pauses_the_sweep_and_says_which(folder: Path, own_home: Path):
    code, out, err = _sweep("bug", "experiment.data.trouble=raise", "budget.trials=9")
    assert code == 3, err
    assert "Traceback" not in err.splitlines()[-1]
    assert "the same error in 3 trials: ValueError: the user's own mistake" in err
    assert "gatesweep resume bug" in err
    assert json.loads(out)["stopped"].startswith("the breaker")
    deaths = _deaths(own_home, "bug")
    assert {kind for kind, _, _ in deaths} == {"user_code"}
    assert [final for _, _, final in deaths] == [False, True, False, True, False], "the same error twice is enough"
    statuses = dict(rows(own_home, "select status, count(*) from runs group by status"))
    assert statuses.get("RUNNING", 0) == 0


@pytest.mark.slow
def test_a_sweep_that_the_breaker_paused_goes_on_with_resume(folder: Path, own_home: Path):
    _sweep("bug", "experiment.data.trouble=raise", "budget.trials=9")
    before = len(_deaths(own_home, "bug"))
    code, _, err = end(start("resume", "bug"))
    assert code == 3, err
    assert len(_deaths(own_home, "bug")) > before > 0


READ = {
    "kill": ("crash", "counted"),
    "fault": ("crash", "counted"),
    "exit": ("crash", "counted"),
    "raise": ("user_code", "counted"),
    "unpicklable": ("user_code", "counted"),
    "nan": ("nan", "fail"),
    "away": ("node_lost", "free"),
    "disk": ("bad_data", "exclude_node"),
    "memory": ("out_of_memory", "counted"),
}


@pytest.mark.parametrize(
    "kinds", [("kill", "unpicklable", "disk"), pytest.param(tuple(READ), marks=pytest.mark.slow)], ids=["some", "all"]
)
def test_what_ray_says_of_real_deaths_is_read_as_their_class(tmp_path: Path, kinds: tuple[str, ...]):
    with cluster.local(1):
        found = deaths_of(list(kinds), tmp_path)
    assert {how: (death.kind, death.policy) for how, (death, _) in found.items()} == {how: READ[how] for how in kinds}


@pytest.mark.slow
def test_a_worker_that_rays_memory_monitor_ended_was_out_of_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RAY_memory_usage_threshold", "0.01")
    monkeypatch.setenv("RAY_memory_monitor_refresh_ms", "100")
    with cluster.local(1):
        death, said = deaths_of(["large"], tmp_path)["large"]
    assert death.kind == "out_of_memory", said
