"""Several workers train as one: the loss curve of one with the same batch, whatever a batch holds.

The bound: in double precision every metric of every epoch, and every weight after the last, equals the single worker's
to 1e-9 of its size, where the task's loss is in single precision all the same to 1e-5. Only the order in which numbers
are added differs.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from labelled_texts import made_texts, written
from made_language import make_config as language
from made_language import write_folder
from made_music import make_config as music
from made_music import write_json
from warm_followers import WarmFollowers

from gatesweep.errors import ConfigError, NotFinite, TrialFailed
from gatesweep.runs import gang
from gatesweep.runs.build import prepare
from gatesweep.runs.experiment import ExperimentConfig, experiment_from
from gatesweep.train.callbacks import EpochReport
from gatesweep.train.checkpoint import state_file
from gatesweep.train.config import OptimizerConfig
from gatesweep.train.fit import fit
from gatesweep.train.team import Before

TOY = {"task": "toy_task:ToyTask", "data": {"examples": 42}, "model": {"hidden_size": 8, "dropout": 0.0},
       "trainer": {"monitor": "val/mae"}}  # fmt: skip
IN_SINGLE = ("sequence_classification", "music", "language_modeling")
SERIES = "when,load,heat\n" + "\n".join(f"2024-01-{1 + n // 24:02d} {n % 24:02d}:00,{50 + (n * 37) % 23},{n % 7}"
                                        for n in range(480))  # fmt: skip


@pytest.fixture(scope="module")
def warm() -> Iterator[WarmFollowers]:
    made = WarmFollowers()
    yield made
    made.close()


class Enough(Exception):
    """Ends a training by force."""


Train = Callable[..., tuple[list[EpochReport], dict[str, torch.Tensor]]]


@pytest.fixture
def train(warm: WarmFollowers, tmp_path: Path, own_home: Path) -> Train:
    """Every epoch's report, and the last one's weights."""

    def trained(
        config: ExperimentConfig, *, stop: int = 0, resume: Path | None = None, was: OptimizerConfig | None = None
    ) -> tuple[list[EpochReport], dict[str, torch.Tensor]]:
        reports: list[EpochReport] = []

        def on_epoch(report: EpochReport) -> None:
            reports.append(report)
            if report.epoch == stop:
                raise Enough

        folder = tmp_path / f"{config.trainer.workers}-{len(list(tmp_path.iterdir()))}"
        task, recipe = prepare(config)
        pins = {dataset.name: dataset.md5 for dataset in task.datasets}
        before = Before(resume is not None, was)
        with contextlib.suppress(Enough), warm.team(config, data_md5=pins, before=before) as team:
            fit(task, recipe, folder=folder, on_epoch=on_epoch, resume=resume, was=was, team=team)
        return reports, torch.load(state_file(reports[-1].checkpoint), weights_only=True)["state_dict"]

    return trained


def experiment(raw: dict[str, Any], workers: int, **trainer: Any) -> ExperimentConfig:
    """Three epochs in double precision; of 16 examples a batch, and the last one of fewer."""
    settings = {"max_epochs": 3, "batch_size": 16, "precision": "64", **raw.get("trainer", {}), **trainer}
    return experiment_from({"seed": 5, **raw, "trainer": {**settings, "workers": workers}}, place="test")


def numbers(reports: list[EpochReport]) -> list[dict[str, float]]:
    return [{k: v for k, v in r.metrics.items() if not k.startswith("time/")} for r in reports]


def equal_curves(train: Train, raw: dict[str, Any], workers: int = 2, **trainer: Any) -> None:
    bound = 1e-5 if raw["task"] in IN_SINGLE else 1e-9
    alone, weights = train(experiment(raw, 1, **trainer))
    together, shared_weights = train(experiment(raw, workers, **trainer))
    assert len(alone) == 3
    assert numbers(together) == [{k: pytest.approx(v, rel=bound, abs=1e-12) for k, v in each.items()}
                                 for each in numbers(alone)]  # fmt: skip
    for name, weight in weights.items():
        torch.testing.assert_close(shared_weights[name], weight, rtol=bound, atol=bound / 100)


def of_texts(folder: Path) -> dict[str, Any]:
    """Texts of 6 to 20 words in batches padded to the longest, and labels that weigh differently."""
    file = written(made_texts(75), folder / "made.csv")
    return {"task": "sequence_classification",
            "data": {"path": str(file), "class_weights": "balanced",
                     "batch_tokens": 90},
            "model": {"hidden_size": 6, "embedding_size": 5, "dropout": 0.0}}  # fmt: skip


def of_pairs(folder: Path) -> dict[str, Any]:
    for split, count in (("train", 45), ("val", 10), ("test", 10)):
        lines = [[f"w{(n * 7 + k * k) % 11}" for k in range(2 + n % 5)] for n in range(count)]
        for language_, rows in (("de", lines), ("en", [row[::-1] for row in lines])):
            (folder / f"{split}.{language_}").write_text("".join(" ".join(row) + "\n" for row in rows))
    return {"task": "translation", "data": {"path": str(folder), "source": "de", "target": "en", "vocabulary": 40},
            "model": {"hidden_size": 8, "embedding_size": 8, "max_output": 8, "dropout": 0.0}}  # fmt: skip


def of_windows(folder: Path) -> dict[str, Any]:
    """Windows with values that were never measured, and a loss over the measured ones alone."""
    rows = SERIES.splitlines()
    holes = [row.replace(",5", ",", 1) if number % 50 == 9 else row for number, row in enumerate(rows)]
    (folder / "load.csv").write_text("\n".join(holes))
    return {"task": "forecasting",
            "data": {"path": str(folder / "load.csv"), "time": "when", "target": "load", "horizon": 4, "lookback": 12,
                     "missing": "masked"},
            "model": {"hidden_size": 6, "dropout": 0.0}}  # fmt: skip


def of_running_text(folder: Path) -> dict[str, Any]:
    """Streams whose state goes on from window to window, with penalties on what the states do."""
    config = language(write_folder(folder / "text"), model={"ar": 1.0, "tar": 1.0, "dropout": 0.0}).as_dict()
    config["trainer"] |= {"batch_size": 4, "max_epochs": 3}
    return config


def of_music(folder: Path) -> dict[str, Any]:
    config = music(write_json(folder / "music.json"), model={"dropout": 0.0}).as_dict()
    config["trainer"] |= {"batch_size": 6, "max_epochs": 3}
    return config


def of_questions(folder: Path) -> dict[str, Any]:
    return {"task": "synthetic", "data": {"problem": "adding", "length": 12, "train": 50, "val": 20, "test": 20},
            "model": {"hidden_size": 6}}  # fmt: skip


def of_functions(folder: Path) -> dict[str, Any]:
    return {"task": "toy_functions", "data": {"rows": 37}}


@pytest.mark.parametrize("make", [of_texts, of_pairs, of_windows, of_running_text, of_music, of_questions,
                                  of_functions])  # fmt: skip
def test_two_workers_have_the_loss_curve_of_one_with_the_same_batch(train: Train, tmp_path: Path, make: Any) -> None:
    data = tmp_path / "data"
    data.mkdir()
    equal_curves(train, make(data))


@pytest.mark.slow
@pytest.mark.parametrize("workers", [3, 5])
def test_more_workers_than_rows_in_a_batch_change_nothing(train: Train, tmp_path: Path, workers: int) -> None:
    equal_curves(train, of_texts(tmp_path), workers, batch_size=15)


@pytest.mark.parametrize("changes", [
    {"schedule": {"name": "plateau", "patience": 0}, "optimizer": {"name": "sgd", "lr": 0.5}},
    {"optimizer": {"name": "adamw", "lr": 0.05, "average": "always"}, "schedule": {"name": "cosine"}},
], ids=["plateau", "averaged"])  # fmt: skip
def test_schedules_clipping_accumulation_and_averages_are_those_of_one(train: Train, changes: dict[str, Any]) -> None:
    equal_curves(train, TOY | changes, accumulate=2)


def test_early_stopping_stops_all(train: Train) -> None:
    raw = TOY | {"optimizer": {"name": "sgd", "lr": 3.0}}
    stopping = {"max_epochs": 30, "early_stopping": {"patience": 1}}
    alone, _ = train(experiment(raw, 1, **stopping))
    together, _ = train(experiment(raw, 2, **stopping))
    assert 1 < len(alone) == len(together) < 30
    assert together[-1].final


@pytest.mark.parametrize("workers", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_a_resumed_training_of_several_gives_the_bits_of_an_uninterrupted_one(train: Train, workers: int) -> None:
    """In single precision, with dropout: of which every worker has a stream of its own in the checkpoint."""
    raw = TOY | {"model": {"hidden_size": 9, "dropout": 0.4}}
    settings = {"batch_size": 12, "max_epochs": 5, "precision": "32"}
    whole, weights = train(experiment(raw, workers, **settings))
    half, _ = train(experiment(raw, workers, **settings), stop=2)
    rest, again = train(experiment(raw, workers, **settings), resume=half[-1].checkpoint)
    assert numbers(rest) == numbers(whole)[2:]
    assert all(torch.equal(again[name], weights[name]) for name in weights)
    assert len({tuple(each["torch"].tolist()) for each in generators(half[-1])}) == workers


def generators(report: EpochReport) -> list[Any]:
    """The states that a checkpoint holds, by worker."""
    saved = torch.load(state_file(report.checkpoint), weights_only=True)["callbacks"]["Generators"]
    return [saved, *saved["other_workers"]]


def test_a_training_in_double_precision_goes_on_in_double_precision(train: Train) -> None:
    whole, weights = train(experiment(TOY, 1, max_epochs=4))
    half, _ = train(experiment(TOY, 1, max_epochs=4), stop=2)
    rest, again = train(experiment(TOY, 1, max_epochs=4), resume=half[-1].checkpoint)
    assert numbers(half + rest) == numbers(whole)
    assert all(torch.equal(again[name], weights[name]) for name in weights)


def test_a_training_goes_on_with_another_number_of_workers(train: Train) -> None:
    settings = {"batch_size": 12, "max_epochs": 4}
    alone, weights = train(experiment(TOY, 1, **settings))
    half, _ = train(experiment(TOY, 2, **settings), stop=2)
    rest, again = train(experiment(TOY, 1, **settings), resume=half[-1].checkpoint)
    assert numbers(half + rest) == [pytest.approx(each, rel=1e-9) for each in numbers(alone)]
    torch.testing.assert_close(again, weights, rtol=1e-9, atol=1e-12)


def test_values_that_change_on_the_way_change_for_all(train: Train) -> None:
    first, later = ({"optimizer": {"name": "sgd", "lr": lr, "momentum": 0.9}} for lr in (0.01, 0.05))
    curves = []
    for workers in (1, 2):
        half, _ = train(experiment(TOY | first, workers, max_epochs=4), stop=2)
        rest, weights = train(experiment(TOY | later, workers, max_epochs=4), resume=half[-1].checkpoint,
                              was=OptimizerConfig(**first["optimizer"]))  # fmt: skip
        curves.append((numbers(half + rest), weights))
    assert curves[1][0] == [pytest.approx(each, rel=1e-9) for each in curves[0][0]]
    torch.testing.assert_close(curves[1][1], curves[0][1], rtol=1e-9, atol=1e-12)


def test_a_loss_that_is_no_number_is_told_with_its_place(train: Train) -> None:
    raw = TOY | {"data": {"examples": 42, "trouble": "nan"}, "optimizer": {"name": "sgd", "lr": 0.9}}
    with pytest.raises(NotFinite, match="in epoch 1, batch 1"):
        train(experiment(raw, 2))


@pytest.mark.slow
def test_a_worker_of_this_machine_that_is_killed_is_named_and_none_is_left(tmp_path: Path) -> None:
    config = experiment(TOY, 3, batch_size=12)
    task, recipe = prepare(config)

    def kill_one(report: EpochReport) -> None:
        followers()[-1].kill()

    with pytest.raises(TrialFailed, match=r"worker [12] died: signal 9"), gang.local(config) as team:
        fit(task, recipe, folder=tmp_path, on_epoch=kill_one, team=team)
    assert followers() == []


def followers() -> list[psutil.Process]:
    """The processes that `gang.local` has started."""
    found = []
    for process in psutil.Process().children():
        with contextlib.suppress(psutil.Error):
            if "gatesweep.runs.follower" in process.cmdline():
                found.append(process)
    return found


def test_a_batch_that_cannot_be_shared_evenly_is_refused() -> None:
    with pytest.raises(ConfigError, match="16 examples cannot be shared evenly by 3 workers") as refused:
        experiment(TOY, 3)
    assert "batch_size: 15, or workers: 2" in str(refused.value.hint)
