"""Plain functions as a task: the example project, and what is refused."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
import torch

import gatesweep
from gatesweep.errors import ConfigError, DataError, UserError
from gatesweep.runs.build import prepare
from gatesweep.runs.experiment import experiment_from, load_experiment
from gatesweep.sweep.spec import load_spec
from gatesweep.tasks.registry import FreeSection, data_section, load_task, metric_names

EXAMPLE = Path(__file__).parents[2] / "docs" / "example_project"
PLAIN = """
import torch
from torch.utils.data import TensorDataset

def build_data(config):
    x = torch.arange(config.data.rows, dtype=torch.float32).unsqueeze(1)
    return {split: TensorDataset(x, 2 * x) for split in ("train", "val", "test")}

def build_model(config):
    return torch.nn.Linear(1, 1)

def loss(model, batch):
    return ((model(batch[0]) - batch[1]) ** 2).mean()
"""


@pytest.fixture
def project(tmp_path: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "plain.py").write_text(PLAIN)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [*sys.path, str(folder)])
    for name in ("recall", "plain"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return folder


def test_the_example_project_learns_and_beats_its_baseline(project: Path) -> None:
    result = gatesweep.run(load_experiment(project / "recall.yaml"))
    assert result.metrics["test/accuracy"] > 0.95
    assert result.baseline["name"] == "most frequent sign"
    assert result.baseline["metrics"]["test/accuracy"] < 0.4
    again = gatesweep.evaluate(result.run_id, split="test")
    assert again.metrics["test/accuracy"] == result.metrics["test/accuracy"]


def test_the_examples_sweep_fits_its_section(project: Path) -> None:
    spec = load_spec(project / "recall_sweep.yaml", ["space={data.length: {choice: [10, 20]}}"])
    assert list(spec.space) == ["data.length"]
    with pytest.raises(ConfigError, match=r"did you mean 'data\.length'"):
        load_spec(project / "recall_sweep.yaml", ["space={data.lenght: {choice: [10, 20]}}"])


def test_functions_alone_have_free_keys_and_the_loss_as_metric(project: Path) -> None:
    assert data_section("plain") is FreeSection
    assert metric_names("plain") == {"train/loss", "val/loss", "test/loss"}
    config = experiment_from({"task": "plain", "data": {"rows": 6}}, place="here")
    assert json.loads(json.dumps(config.as_dict()))["data"] == {"rows": 6}
    task, _ = prepare(config)
    assert task.describe() == ["train: 6 examples", "val: 6 examples", "test: 6 examples"]
    assert task.baseline("test").name == "none given"


def test_weights_follow_from_the_seed_whatever_was_drawn_before(project: Path) -> None:
    def weights(seed: int) -> float:
        torch.rand(7)
        config = experiment_from({"task": "plain", "data": {"rows": 2}}, place="here")
        made = load_task("plain")(config.data, config.model, batch_size=1, seed=seed, say=print)
        return made.module.network.weight.item()

    assert weights(1) == weights(1) != weights(2)


@pytest.mark.parametrize(("was", "is_", "kind", "words"), [
    ("def loss", "def loss_", ConfigError, "'plain' has no function loss"),
    ("def build_model", "def build", ConfigError, "'plain' has no function build_model"),
    ("return torch.nn.Linear(1, 1)", "return 3", ConfigError, "`build_model` returned int, not a torch.nn.Module"),
    ('("train", "val", "test")', '("train", "val")', ConfigError, "returned ['train', 'val'], not a mapping"),
    ("torch.arange(config.data.rows", "torch.arange(0", DataError, "no example in train, val, test"),
    ('("train", "val", "test")', '("train", "val")', ConfigError, "test is missing"),
    ("return ((", "return 1.0 or ((", ConfigError, "`loss` must return a tensor"),
    ("return ((", "return model.weight.repeat(2, 1) if batch else ((", ConfigError, "a batch, not a tensor of [2, 1]"),
    ("return ((", "return torch.zeros(()) if batch else ((", ConfigError, "`loss` has no gradient"),
    ("import torch\n", "import torch\nx = (\n", ConfigError, "line 3: 'plain' cannot be imported: '(' was never"),
])  # fmt: skip
def test_functions_that_do_not_fit_are_refused(
    project: Path, was: str, is_: str, kind: type[UserError], words: str
) -> None:
    assert was in PLAIN
    (project / "plain.py").write_text(PLAIN.replace(was, is_))
    with pytest.raises(kind) as caught:
        gatesweep.run(experiment_from({"task": "plain", "data": {"rows": 4}}, place="here"))
    assert words in str(caught.value)


def test_other_data_and_predictions_are_refused_in_words(project: Path) -> None:
    task, _ = prepare(experiment_from({"task": "plain", "data": {"rows": 6}}, place="here"))
    with pytest.raises(ConfigError, match="has no other data"):
        task.loader("test", Path("other"))
    with pytest.raises(ConfigError, match="writes no predictions"):
        task.predictions("test")
