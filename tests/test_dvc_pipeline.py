"""dvc.yaml is real DVC: its stages train, compare and vary experiments, and agree with `gatesweep run`."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from command_line import call

from gatesweep.data import pins, store
from gatesweep.runs.experiment import load_experiment
from gatesweep.tasks.registry import epoch_metrics

ROOT = Path(__file__).resolve().parents[1]
COMMAND = re.compile(r"env PYTHONPATH=platform gatesweep run (configs/experiments/(\w+)\.yaml) --out (results/\w+)")
EXPERIMENT = """# a comment that stays
task: forecasting
data: {path: data/mine/load.csv, time: when, target: load, horizon: 6, lookback: 24, stride: 8}
model: {hidden_size: 4}
optimizer: {lr: 5e-3}
trainer: {max_epochs: 2, monitor: val/mae}
"""


def stages() -> list[Any]:
    """As DVC reads dvc.yaml."""
    from dvc.repo import Repo

    with Repo(str(ROOT), config={"core": {"analytics": False, "no_scm": True}}) as repo:
        return [stage for stage in repo.index.stages if stage.cmd]


def test_every_stage_trains_a_valid_experiment_on_the_set_that_it_depends_on(
        monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path))
    found = {}
    for stage in stages():
        command = COMMAND.fullmatch(stage.cmd)
        assert command, stage.cmd
        file, name, out = command.groups()
        config = load_experiment(Path(file))
        files = {str(dep): dep for dep in stage.deps}
        data = {dep.removeprefix("data/") for dep in files if dep.startswith("data/")}
        assert data == ({config.data.name} if hasattr(config.data, "name") else set()), stage.addressing
        assert data <= pins.read_pins(ROOT).keys()
        assert "platform/gatesweep" in files
        assert [dep.params for dep in stage.deps if str(dep) == file] == [[]]  # every parameter of the file
        assert {str(each): each.use_cache for each in stage.outs} == {
            f"{out}/run.json": True, f"{out}/metrics.json": False, f"{out}/curves.csv": False}
        plot = next(each.plot for each in stage.outs if each.plot)
        assert plot["y"] in (epoch_metrics(config.task, config.data, config.model) or ())
        found[name] = stage.addressing
    assert {"traffic", "energy", "synthetic"} <= found.keys()


class Project:
    """A clone of what dvc.yaml needs, with one experiment of a second on a set of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __call__(self, *words: str, code: int = 0) -> str:
        done = subprocess.run(words, cwd=self.root, capture_output=True, text=True, check=False, timeout=200)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def dvc(self, *words: str, code: int = 0) -> str:
        return self(sys.executable, "-m", "dvc", *words, code=code)

    def json(self, *words: str) -> Any:
        return json.loads(subprocess.run([sys.executable, "-m", "dvc", *words, "--json"], cwd=self.root, text=True,
                                         capture_output=True, check=True).stdout)

    def commit(self) -> None:
        self("git", "add", "-A")
        self("git", "commit", "-q", "-m", "x")

    def result(self, file: str = "metrics.json") -> bytes:
        return (self.root / "results" / "mine" / file).read_bytes()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """The stages' own template over another experiment, whose set is pinned and in DVC's cache."""
    root = tmp_path / "project"
    shutil.copytree(ROOT / "platform", root / "platform", ignore=shutil.ignore_patterns("*.egg-info"))
    for file in (".dvcignore", ".gitignore", ".dvc/config", ".dvc/.gitignore"):
        (root / file).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / file, root / file)
    pipeline = yaml.safe_load((ROOT / "dvc.yaml").read_text())
    pipeline["stages"] = {"train": {**pipeline["stages"]["train"], "foreach": {"mine": "mine"}}}
    (root / "dvc.yaml").write_text(yaml.safe_dump(pipeline, sort_keys=False))
    (root / "configs" / "experiments").mkdir(parents=True)
    (root / "configs" / "experiments" / "mine.yaml").write_text(EXPERIMENT)
    hours = np.arange(30 * 24)
    load = 100 + 30 * np.sin(2 * np.pi * hours / 24) + np.random.default_rng(0).normal(0, 2, len(hours))
    (root / "data" / "mine").mkdir(parents=True)
    pd.DataFrame({"when": pd.date_range("2024-01-01", periods=len(hours), freq="h"), "load": load.round(3)}).to_csv(
        root / "data" / "mine" / "load.csv", index=False)
    mine = {"md5": pins.digest_of(pins.md5s_in(root / "data" / "mine")), "hash": "md5", "path": "data/mine"}
    elsewhere = {"md5": f"{'a' * 32}.dir", "hash": "md5", "path": "data/elsewhere"}  # a set that is not here
    (root / "data.dvc").write_text(yaml.safe_dump({"outs": [mine, elsewhere]}, sort_keys=False))
    for name, value in {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
                        "DVC_GLOBAL_CONFIG_DIR": str(tmp_path / "dvc"), "DVC_SITE_CACHE_DIR": str(tmp_path / "site"),
                        "GIT_AUTHOR_NAME": "T", "GIT_AUTHOR_EMAIL": "t@example.org", "GIT_COMMITTER_NAME": "T",
                        "GIT_COMMITTER_EMAIL": "t@example.org"}.items():
        monkeypatch.setenv(name, value)
    made = Project(root)
    made("git", "init", "-q")
    made.commit()
    store.enter(root, pins.read_pins(root)["mine"])
    monkeypatch.chdir(root)
    return made


@pytest.mark.slow
def test_an_experiment_with_another_value_equals_run_with_set(project: Project, capsys: Any,
                                                              monkeypatch: pytest.MonkeyPatch) -> None:
    project.dvc("exp", "run", "--allow-missing", "train@mine", "-S", "configs/experiments/mine.yaml:optimizer.lr=0.02")
    varied = project.result(), project.result("curves.csv")
    ((key, change),) = project.json("params", "diff")["configs/experiments/mine.yaml"].items()
    assert (key, change["old"], change["new"]) == ("optimizer.lr", 0.005, 0.02)
    assert "# a comment that stays" in (project.root / "configs" / "experiments" / "mine.yaml").read_text()

    project("git", "checkout", "-q", "configs")
    for assignment in ("optimizer.lr=0.02", "optimizer.lr=0.03"):
        code, _, err = call(capsys, monkeypatch, "run", "configs/experiments/mine.yaml", "--set", assignment, "--out",
                            "results/mine")  # fmt: skip
        assert code == 0, err
        assert ((project.result(), project.result("curves.csv")) == varied) == (assignment == "optimizer.lr=0.02")


@pytest.mark.slow
def test_repro_trains_once_and_dvc_compares_results_between_revisions(project: Project) -> None:
    project.dvc("repro", "--allow-missing", "train@mine")
    assert "didn't change, skipping" in project.dvc("repro", "--allow-missing", "train@mine")
    assert project("git", "check-ignore", "results/mine/run.json")
    first = json.loads(project.result())
    project.commit()
    project.dvc("exp", "run", "--allow-missing", "train@mine", "-S", "configs/experiments/mine.yaml:optimizer.lr=0.02")
    diff = project.json("metrics", "diff")["results/mine/metrics.json"]
    second = json.loads(project.result())
    assert second != first
    assert {key: [each["old"], each["new"]] for key, each in diff.items()} == {
        key: [first[key], second[key]] for key in first}
    (plot,) = project.json("plots", "diff")["data"]["results/mine/curves.csv"]
    drawn = [(row["rev"], row["epoch"]) for row in plot["content"]["data"]["values"]]
    assert sorted(drawn) == [(rev, epoch) for rev in ("HEAD", "workspace") for epoch in ("1", "2")]


@pytest.mark.slow
def test_an_experiment_in_a_copy_records_its_run_in_the_repositorys_own_home(project: Project) -> None:
    project.dvc("exp", "run", "--temp", "--allow-missing", "train@mine")
    assert list((project.root / ".gatesweep" / "artifacts" / "mine").iterdir())
    told = project.dvc("exp", "show", "--csv")
    assert "val/mae" in told


@pytest.mark.slow
def test_in_a_fresh_clone_a_pull_and_a_repro_give_the_same_numbers(project: Project, tmp_path: Path,
                                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    project.dvc("remote", "add", "-q", "-d", "shelf", str(tmp_path / "shelf"))
    shutil.copytree(project.root / ".dvc" / "cache" / "files", tmp_path / "shelf" / "files")
    project.commit()
    project.dvc("repro", "--allow-missing", "train@mine")
    project("git", "clone", "-q", ".", str(tmp_path / "clone"))
    clone = Project(tmp_path / "clone")
    monkeypatch.chdir(clone.root)
    assert "data/mine" in clone.dvc("repro", "--allow-missing", "train@mine", code=255)
    clone("env", "PYTHONPATH=platform", "gatesweep", "data", "pull", "mine")
    clone.dvc("repro", "--allow-missing", "train@mine")
    assert clone.result() == project.result()


@pytest.mark.slow
def test_altered_data_or_another_value_trains_again_and_a_comment_does_not(project: Project) -> None:
    project.dvc("repro", "--allow-missing", "train@mine")
    file = project.root / "configs" / "experiments" / "mine.yaml"
    file.write_text(file.read_text().replace("that stays", "that changed"))
    assert project.json("status", "train@mine") == {}
    file.write_text(file.read_text().replace("hidden_size: 4", "hidden_size: 5"))
    assert project.json("status", "train@mine") == {
        "train@mine": [{"changed deps": {"configs/experiments/mine.yaml": {"model": "modified"}}}]}
    file.write_text(file.read_text().replace("hidden_size: 5", "hidden_size: 4"))
    with (project.root / "data" / "mine" / "load.csv").open("a") as data:
        data.write("2024-02-01 00:00:00,1\n")
    assert "data/mine" in json.dumps(project.json("status", "train@mine"))
