"""What `run --out` writes beside the record in MLflow."""

import csv
import json
from pathlib import Path

import pytest
from command_line import call, write_project

from gatesweep import api


@pytest.fixture
def folder(tmp_path: Path, own_home: Path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write_project(tmp_path)


def test_metrics_curves_and_the_run_are_written_as_the_store_has_them(folder, capsys, monkeypatch):
    code, out, _ = call(capsys, monkeypatch, "run", "exp.yaml", "--json", "--out", "results/toy")
    assert code == 0
    told, results = json.loads(out), folder / "results" / "toy"
    assert json.loads((results / "run.json").read_text()) == told
    metrics = json.loads((results / "metrics.json").read_text())
    assert metrics == {key: value for key, value in told["metrics"].items() if not key.startswith("time/")}
    assert {"val/mae", "test/mae"} <= metrics.keys()
    with (results / "curves.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    history = api.open_store().history(told["run_id"], "val/mae")
    assert [float(row["val/mae"]) for row in rows] == [point.value for point in history]
    assert not [key for key in rows[0] if key.startswith("time/")]


def test_the_same_run_gives_the_same_metrics_and_curves_to_the_byte(folder):
    for name in ("one", "two"):
        api.run("exp.yaml", out=folder / name)
    for file in ("metrics.json", "curves.csv"):
        assert (folder / "one" / file).read_bytes() == (folder / "two" / file).read_bytes()


def test_nothing_of_an_earlier_run_stays_when_the_next_one_fails(folder, capsys, monkeypatch):
    api.run("exp.yaml", out="results")
    assert len(list((folder / "results").iterdir())) == 3
    code, _, _ = call(capsys, monkeypatch, "run", "exp.yaml", "--out", "results", "--set", "data.trouble=nan", "--set",
                      "optimizer.lr=0.9")  # fmt: skip
    assert code == 1
    assert list((folder / "results").iterdir()) == []


def test_a_wrong_configuration_leaves_earlier_results_alone(folder, capsys, monkeypatch):
    api.run("exp.yaml", out="results")
    assert call(capsys, monkeypatch, "run", "exp.yaml", "--out", "results", "--set", "optimizer.lr=-1")[0] == 2
    assert len(list((folder / "results").iterdir())) == 3


def test_a_folder_that_cannot_be_written_and_a_cluster_are_refused_before_training(folder, capsys, monkeypatch):
    code, _, err = call(capsys, monkeypatch, "run", "exp.yaml", "--out", "exp.yaml")
    assert code == 2
    assert "exp.yaml: cannot be written" in err
    code, _, err = call(capsys, monkeypatch, "run", "exp.yaml", "--out", "results", "--cluster", "cluster.yaml")
    assert code == 2
    assert "--out: is written by a training here" in err
    assert not (folder / "results").exists()
