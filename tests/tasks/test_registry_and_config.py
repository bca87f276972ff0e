"""Names of tasks and metrics, and what the `data:` section refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import yaml

from gatesweep.config.loader import build
from gatesweep.errors import ConfigError
from gatesweep.runs.experiment import experiment_from, load_experiment
from gatesweep.sweep.spec import load_spec, spec_from
from gatesweep.tasks.forecasting.config import ForecastingData
from gatesweep.tasks.registry import check_direction, data_section, load_task, metric_names

EXPERIMENTS = Path(__file__).parents[2] / "configs" / "experiments"
OWN = """
from gatesweep.config.section import Section

class Beans(Section):
    count: int = 3

class CountBeans:
    data_section = Beans
    metrics = ("loss", "accuracy")

class Unfinished:
    pass
"""


@pytest.fixture
def own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "bean_tasks.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "bean_tasks", raising=False)
    return "bean_tasks"


def test_the_registry_tells_what_the_class_reports() -> None:
    task = load_task("forecasting")
    assert data_section("forecasting") is task.data_section is ForecastingData
    assert metric_names("forecasting") == {"train/loss"} | {f"{split}/{name}" for split in ("val", "test")
                                                            for name in task.metrics}


def test_a_task_of_the_users_own_is_found_by_its_address(own_module: str) -> None:
    assert data_section(f"{own_module}:CountBeans").__name__ == "Beans"
    assert load_task(f"{own_module}:CountBeans").__name__ == "CountBeans"
    assert metric_names(f"{own_module}:CountBeans") == {"train/loss", "val/loss", "test/loss", "val/accuracy",
                                                        "test/accuracy"}


@pytest.mark.parametrize(("name", "words"), [
    ("forcasting", "did you mean 'forecasting'"),
    ("no_such_module:Task", "cannot be imported"),
    ("bean_tasks:CountBean", "did you mean 'CountBeans'"),
    ("bean_tasks:Unfinished", "needs the class attribute `data_section`"),
])
def test_a_task_that_is_not_there_is_refused_with_a_way_out(own_module: str, name: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        data_section(name)
    assert words in str(caught.value)


def test_names_and_sections_need_neither_torch_nor_pandas() -> None:
    code = ("import sys; from gatesweep.tasks.registry import data_section, metric_names;"
            "data_section('forecasting').model_json_schema(); metric_names('forecasting');"
            "print([name for name in ('torch', 'pandas', 'pytorch_lightning', 'numpy', 'dvc') if name in sys.modules])")
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                           env={"PYTHONPATH": str(Path(__file__).parents[2] / "platform")})
    assert shown.stdout.strip() == "[]"


@pytest.mark.parametrize(("values", "words"), [
    ({}, "neither is given"),
    ({"name": "traffic", "path": "a.csv", "target": "y"}, "both are given"),
    ({"path": "a.csv"}, "which column of the CSV"),
    ({"name": "traffic", "time": "date"}, "'time' goes with 'path'"),
    ({"path": "a.csv", "target": "y", "series": "hourly"}, "'series' goes with 'name'"),
    ({"name": "traffic", "lookback": 12, "residual": 24}, "residual 24 reaches further back than lookback 12"),
    ({"name": "stocks", "transform": "log_return", "residual": 1}, "both differences"),
    ({"name": "traffic", "covariates": ["temp"], "known": ["temp"]}, "column 'temp' is named twice"),
    ({"name": "traffic", "splits": {"train": 0.8, "val": 0.2, "test": 0.2}}, "add up to 1.2"),
    ({"name": "traffic", "look_back": 24}, "did you mean 'lookback'"),
    ({"name": "traffic", "calendar": ["hours"]}, "calendar"),
    ({"name": "traffic", "horizon": 0}, "greater than 0"),
])
def test_a_section_that_contradicts_itself_is_refused_with_the_reason(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build(ForecastingData, values, place="x.yaml: data")
    assert words in str(caught.value)


def test_every_field_of_the_section_explains_itself() -> None:
    assert not [name for name, field in ForecastingData.model_fields.items() if not field.description]


@pytest.mark.parametrize("name", ["traffic", "energy", "stocks"])
def test_the_experiments_that_come_along_fit_the_section(name: str) -> None:
    path = EXPERIMENTS / f"{name}.yaml"
    data = build(ForecastingData, yaml.safe_load(path.read_text())["data"], place=str(path))
    assert data.name == name


@pytest.mark.parametrize(("metric", "mode", "right"), [
    ("val/accuracy", "min", "max"), ("val/loss", "max", "min"),
    ("val/accuracy", "max", None), ("val/loss", "min", None),
])
def test_to_look_for_the_worst_epoch_or_trial_is_refused_and_what_was_trained_so_is_read(
    tmp_path: Path, metric: str, mode: str, right: str | None
) -> None:
    raw = {"task": "sequence_classification", "data": {"name": "reviews"}}
    experiment = {**raw, "trainer": {"monitor": metric, "mode": mode}}
    sweep = {"experiment": raw, "objective": {"metric": metric, "mode": mode},
             "space": {"optimizer.lr": {"log_uniform": [1e-3, 1e-2]}}, "budget": {"trials": 2}}  # fmt: skip
    for load, content, key in ((load_experiment, experiment, "trainer.mode"), (load_spec, sweep, "objective.mode")):
        file = tmp_path / "file.yaml"
        file.write_text(json.dumps(content))
        with pytest.raises(ConfigError, match=f"hint: --set {key}={right}") if right else nullcontext():
            load(file)
    assert experiment_from(experiment, place="here").trainer.mode == mode
    assert spec_from({"name": "s", **sweep}, place="here").trial_config(
        {"optimizer.lr": 2e-3}, 0).trainer.mode == mode  # fmt: skip


def test_coverage_is_best_at_a_level_of_its_own() -> None:
    for mode in ("min", "max"):
        check_direction("forecasting", "val/coverage", mode, place="here", key="trainer.mode")
    with pytest.raises(ConfigError, match="less of val/mae is better"):
        check_direction("forecasting", "val/mae", "max", place="here", key="trainer.mode")


@pytest.mark.parametrize(("file", "changes", "monitor"), [
    ("traffic", {}, "val/crps"),
    ("vowels", {}, "val/wer"),
    ("speech_recognition", {}, "val/per"),
    ("speech_recognition", {"data": {"units": "phone"}}, "val/wer"),
])
def test_what_this_configuration_cannot_report_is_not_watched_either(
        file: str, changes: dict[str, Any], monitor: str) -> None:
    raw = yaml.safe_load((EXPERIMENTS / f"{file}.yaml").read_text())
    raw = {**raw, **{key: {**raw[key], **value} for key, value in changes.items()}}
    watching = {**raw, "trainer": {**raw["trainer"], "monitor": monitor, "mode": "min"}}
    with pytest.raises(ConfigError, match=f"{raw['task']} reports no '{monitor}' while it trains, as it is configured"):
        experiment_from(watching, place="test")


@pytest.mark.parametrize(("changes", "monitor"), [
    ({"model": {"output": "gaussian"}}, "val/crps"), ({}, "val/mae"), ({}, "train/loss")])
def test_what_it_does_report_is_watched(changes: dict[str, Any], monitor: str) -> None:
    raw = yaml.safe_load((EXPERIMENTS / "traffic.yaml").read_text())
    raw = {**raw, **{key: {**raw[key], **value} for key, value in changes.items()}}
    watching = {**raw, "trainer": {**raw["trainer"], "monitor": monitor}}
    assert experiment_from(watching, place="test").trainer.monitor == monitor
