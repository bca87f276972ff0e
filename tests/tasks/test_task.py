"""The task as the rest of the house sees it: from a file to loaders, predictions, figures and lines for the log."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure
from sizes import counts_what_it_trains

from gatesweep.data.fetch import user_file
from gatesweep.errors import DataError
from gatesweep.models.forecaster_config import ForecastModel
from gatesweep.tasks.base import TaskModule
from gatesweep.tasks.forecasting import prepare as preparing
from gatesweep.tasks.forecasting.config import ForecastingData
from gatesweep.tasks.forecasting.source import read_like
from gatesweep.tasks.forecasting.task import Forecasting

MODEL = ForecastModel(hidden_size=8)
Make = Callable[..., Any]


def write_csv(path: Path, frame: pd.DataFrame) -> Path:
    frame.rename_axis("when").to_csv(path)
    return path


@pytest.fixture
def csv(hourly: Make, tmp_path: Path) -> Path:
    return write_csv(tmp_path / "load.csv", hourly().frame)


def task_of(path: Path, *, seed: int = 1, **values: Any) -> Forecasting:
    data = ForecastingData(**{"path": str(path), "time": "when", "target": "load", "horizon": 4, "lookback": 12,
                              "seasonal": (6, 24), **values})
    return Forecasting(data, MODEL, batch_size=32, seed=seed, say=lambda line: None)


def test_a_csv_of_ones_own_becomes_a_task(csv: Path) -> None:
    task = task_of(csv, covariates=("temp",), known=("flag",))
    assert isinstance(task.module, TaskModule)
    assert [(dataset.name, len(dataset.md5)) for dataset in task.datasets] == [("load.csv", 32)]
    batch = next(iter(task.data_module.train_dataloader()))
    assert task.module(batch.past_BTD, batch.future_BFE).shape == batch.target_BF.shape == (32, 4)


def test_the_initial_weights_are_a_function_of_the_seed_alone(csv: Path) -> None:
    def weights(seed: int) -> list[torch.Tensor]:
        torch.rand(3)
        return list(task_of(csv, seed=seed).module.parameters())

    one, again, other = weights(1), weights(1), weights(2)
    assert all(torch.equal(a, b) for a, b in zip(one, again, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_building_a_task_leaves_the_global_generator_alone(csv: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    task_of(csv)
    assert torch.equal(torch.rand(3), expected)


def test_another_file_is_scaled_with_the_numbers_of_this_training(csv: Path, hourly: Make, tmp_path: Path) -> None:
    task = task_of(csv)
    frame = hourly(300, seed=4).frame
    frame["load"] = 5 * frame["load"] + 1000
    batch = next(iter(task.loader("all", write_csv(tmp_path / "other.csv", frame))))
    center, scale = (float(column[0]) for column in (task.module.center_C, task.module.scale_C))
    rows = batch.origin_B.numpy()[:, None] + np.arange(4)
    np.testing.assert_allclose(batch.target_BF.numpy(), (frame["load"].to_numpy()[rows] - center) / scale, rtol=1e-5)
    assert len(task.loader("all", tmp_path / "other.csv").dataset) == 300 - 24 - 4 + 1  # type: ignore[arg-type]


def test_the_same_file_by_its_path_gives_the_same_bits_as_the_training_s_own(csv: Path, tmp_path: Path) -> None:
    task = task_of(csv)
    copy = tmp_path / "copy.csv"
    copy.write_bytes(csv.read_bytes() + b"\n")
    pd.testing.assert_frame_equal(task.predictions("test"), task.predictions("test", copy), check_exact=True)
    assert task.baseline("test") == task.baseline("test", copy)


def test_predictions_hold_every_step_of_every_window_beside_the_truth(csv: Path, hourly: Make) -> None:
    task, load = task_of(csv), hourly().frame["load"]
    table = task.predictions("val")
    assert list(table.columns) == ["origin", "step", "time", "truth", "forecast"]
    assert len(table) == 4 * (60 - 4 + 1)
    np.testing.assert_allclose(table["truth"], load.loc[table["time"]], rtol=1e-6)
    assert ((table["time"] - table["origin"]) == pd.to_timedelta(table["step"], unit="h")).all()
    assert task.module.training, "the module is left as it was"


def test_the_baseline_is_scored_on_the_windows_that_the_model_is_scored_on(csv: Path) -> None:
    task = task_of(csv)
    baseline, table = task.baseline("test"), task.predictions("test")
    load = pd.read_csv(csv, index_col="when", parse_dates=True)["load"]
    naive = load.shift(24).loc[table["time"]].to_numpy()
    assert baseline.name == "seasonal naive, lag 24"
    assert baseline.metrics["mae"] == pytest.approx(np.abs(naive - table["truth"].to_numpy()).mean(), rel=1e-6)


def test_figures_are_drawn_with_labels(csv: Path, tmp_path: Path) -> None:
    figures = task_of(csv).figures("test")
    assert set(figures) == {"forecast", "error_by_step"}
    for name, figure in figures.items():
        assert isinstance(figure, Figure)
        axes = figure.axes[0]
        assert axes.get_xlabel()
        assert axes.get_ylabel()
        assert axes.get_legend() is not None
        figure.savefig(tmp_path / f"{name}.png")
    first, second = (line.get_xdata() for line in figures["forecast"].axes[0].get_lines()[1:4:2])
    assert first.max() < second.min(), "the forecasts shown do not overlap"


def test_a_second_trial_of_a_process_reads_nothing_again(csv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = task_of(csv)
    monkeypatch.setattr("gatesweep.tasks.forecasting.task.read", lambda *_: pytest.fail("read again"))
    second = task_of(csv, loss="mae", residual=6)
    assert second.prepared.table_ND is first.prepared.table_ND
    monkeypatch.undo()
    assert task_of(csv, lookback=13).prepared.data.lookback == 13
    csv.write_text(csv.read_text().replace("2020-01-06 00:00:00,", "2020-01-06 00:00:00,1"))
    assert task_of(csv).prepared.table_ND is not first.prepared.table_ND, "other bytes are other data"
    assert len(preparing._cache) <= preparing.KEPT


def test_the_log_says_what_was_cleaned_how_many_windows_and_which_scaler(csv: Path) -> None:
    text = "\n".join(task_of(csv).describe())
    for words in ("400 rows read", "train: 253 windows", "val: 57 windows", "scaler: standard", "lag 24 (of [6, 24]"):
        assert words in text


def test_a_split_without_a_window_is_refused_before_any_training(csv: Path) -> None:
    with pytest.raises(DataError, match="'val' has no window"):
        task_of(csv, splits={"train": 0.7, "val": 0.005, "test": 0.2})


def test_a_file_like_the_catalogues_is_read_by_the_catalogues_rules(tmp_path: Path) -> None:
    days = pd.bdate_range("2005-01-03", periods=300)
    rng = np.random.default_rng(0)
    rows = [f"{name},{day:%Y-%m-%d},{100 + 10 * rng.standard_normal():.2f}" for name in ("AAPL", "IBM") for day in days]
    path = tmp_path / "prices.csv.gz"
    path.write_bytes(gzip.compress("\n".join(["Ticker,Date,Adj Close", *rows, ""]).encode()))
    series = read_like(user_file(path), ForecastingData(name="stocks", covariates=("IBM",), seasonal=(1, 5)))
    assert (series.target, list(series.frame.columns), len(series.frame)) == ("AAPL", ["AAPL", "IBM"], 300)
    assert series.segments == [(0, 300)], "each row is a trading day: a weekend is no gap"


def test_a_model_is_counted_without_being_made(csv: Path) -> None:
    task = task_of(csv)
    others = ({"hidden_size": 31}, {"family": "tcn"}, {"family": "transformer"}, {"family": "xlstm"},
              {"family": "memory"}, {"cell": "peephole", "layers": 2}, {"output": "quantiles"})  # fmt: skip
    counts_what_it_trains(task, MODEL, *(ForecastModel(**{"hidden_size": 16, **other}) for other in others))
