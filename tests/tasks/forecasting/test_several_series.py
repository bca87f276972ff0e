"""Several series at once, the ETT protocol, masked values: what a window holds, and what is scored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import pytorch_lightning as pl
import torch

from gatesweep.config.loader import build
from gatesweep.data.fetch import user_file
from gatesweep.errors import ConfigError, DataError
from gatesweep.models.forecaster_config import ForecastModel
from gatesweep.tasks.forecasting.config import ForecastingData
from gatesweep.tasks.forecasting.loaders import in_order
from gatesweep.tasks.forecasting.source import ETT_COLUMNS, read
from gatesweep.tasks.forecasting.task import Forecasting
from gatesweep.tasks.forecasting.windows import WindowBatch

ROWS = 400
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pytorch_lightning")


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    rng, hours = np.random.default_rng(0), np.arange(ROWS)
    wave = np.sin(2 * np.pi * hours / 24)
    frame = pd.DataFrame({"a": 10 + wave, "b": 1000 - 50 * wave, "c": 5 * wave, "temp": rng.normal(0, 1, ROWS),
                          "flag": hours % 7 == 0}, index=pd.date_range("2024-01-01", periods=ROWS, freq="1h"))
    frame[["a", "b", "c"]] += rng.normal(0, 0.1, (ROWS, 3))
    path = tmp_path / "many.csv"
    frame.astype(float).rename_axis("when").to_csv(path)
    return path


def task_of(path: Path, model: dict[str, Any] | None = None, **values: Any) -> Forecasting:
    data = ForecastingData(**{"path": str(path), "time": "when", "targets": ("a", "b", "c"), "horizon": 4,
                              "lookback": 12, "seasonal": (6, 24), "calendar": (), **values})
    return Forecasting(data, ForecastModel(**{"hidden_size": 8, "segment": 4, **(model or {})}), batch_size=32, seed=1,
                       say=lambda line: None)


def whole(task: Forecasting, split: str) -> WindowBatch:
    windows = task.prepared.windows(split)
    return windows.__getitems__(list(range(len(windows))))


def validated(task: Forecasting) -> dict[str, float]:
    trainer = pl.Trainer(logger=False, enable_progress_bar=False, accelerator="cpu", devices=1)
    return dict(trainer.validate(task.module, dataloaders=in_order(task.prepared.windows("val"), 7), verbose=False)[0])


def test_a_window_of_independent_series_holds_its_own_columns_and_the_shared_ones(csv: Path) -> None:
    task = task_of(csv, changes=(2, 5), covariates=("temp",), known=("flag",))
    table, batch = task.prepared.table_ND, whole(task, "val")
    assert len(batch.origin_B) == 3 * len(task.prepared.origins("val"))
    assert batch.series_B[:6].tolist() == [0, 1, 2, 0, 1, 2], "in the order of time"
    for row in (0, 4, 11):
        origin, each = int(batch.origin_B[row]), int(batch.series_B[row])
        columns = [each, 3 + 2 * each, 4 + 2 * each, 9, 10]
        assert torch.equal(batch.past_BTD[row], table[origin - 12 : origin, columns])
        assert torch.equal(batch.target_BF[row], table[origin : origin + 4, each])
        assert torch.equal(batch.future_BFE[row], table[origin : origin + 4, 10:])
        np.testing.assert_allclose(batch.truth_BF[row], task.prepared.own_NY[origin : origin + 4, each], rtol=1e-6)
        change = task.prepared.own_NY[origin - 1, each] - task.prepared.own_NY[origin - 3, each]
        scaled = (change - task.prepared.scaler.center_C[3 + 2 * each]) / task.prepared.scaler.scale_C[3 + 2 * each]
        assert float(batch.past_BTD[row, -1, 1]) == pytest.approx(float(scaled), abs=1e-4)


@pytest.mark.parametrize("channels", ["independent", "joint"])
@pytest.mark.parametrize("model", [{}, {"decoder": "segments"}, {"decoder": "recursive"}, {"output": "quantiles"},
                                   {"output": "student_t", "normalise": "revin"}, {"normalise": "last"}], ids=str)
def test_metrics_are_those_of_the_predictions(csv: Path, channels: str, model: dict[str, Any]) -> None:
    task = task_of(csv, model, channels=channels, horizons=(2,))
    logged, table = validated(task), task.predictions("val")
    error = table["truth"] - table["forecast"]
    assert logged["val/mae"] == pytest.approx(error.abs().mean(), rel=1e-5)
    assert logged["val/rmse"] == pytest.approx(np.sqrt((error**2).mean()), rel=1e-5)
    assert logged["val/mae_h2"] == pytest.approx(error[table["step"] <= 2].abs().mean(), rel=1e-5)
    assert set(table["series"]) == {"a", "b", "c"}
    own = pd.read_csv(csv, index_col="when", parse_dates=True)
    for name, part in table.groupby("series"):
        np.testing.assert_allclose(part["truth"], own.loc[part["time"], name], rtol=1e-5, atol=1e-5)
    if model.get("output"):
        inside = (table["q10"] <= table["truth"]) & (table["truth"] <= table["q90"])
        assert logged["val/coverage"] == pytest.approx(inside.mean(), abs=1e-6)
        levels = {"q10": 0.1, "q25": 0.25, "q50": 0.5, "q75": 0.75, "q90": 0.9}
        losses = [np.maximum(q * (table["truth"] - table[name]), (q - 1) * (table["truth"] - table[name])).mean()
                  for name, q in levels.items()]
        assert logged["val/pinball"] == pytest.approx(np.mean(losses), rel=1e-4)


def test_standardised_scores_weigh_every_series_alike(csv: Path) -> None:
    task = task_of(csv, scores="standardised")
    logged, table = validated(task), task.predictions("val")
    scale = dict(zip("abc", task.prepared.scaler.scale_C.tolist(), strict=False))
    error = (table["truth"] - table["forecast"]) / table["series"].map(scale)
    assert logged["val/mse"] == pytest.approx((error**2).mean(), rel=1e-4)
    assert "val/mape" not in logged
    naive = task.baseline("val").metrics
    values = pd.read_csv(csv, index_col="when", parse_dates=True)[["a", "b", "c"]] / pd.Series(scale)
    origins = task.prepared.origins("val").numpy()[:, None] + np.arange(4)
    lag = task.prepared.chosen_lag
    errors = values.to_numpy()[origins] - values.to_numpy()[origins - lag]
    assert naive["mse"] == pytest.approx((errors**2).mean(), rel=1e-5)


def test_joint_series_are_read_and_forecast_together_and_independent_ones_are_not(csv: Path) -> None:
    assert whole(task_of(csv), "val").past_BTD.shape[2] == 1
    task = task_of(csv, channels="joint")
    batch = whole(task, "val")
    past = batch.past_BTD.clone()
    past[..., 1:] += 1
    one, other = (task.module(each, batch.future_BFE) for each in (batch.past_BTD, past))
    assert one.shape == (3 * len(past), 4)
    assert not torch.equal(one[::3], other[::3]), "the first series' forecast saw the others' past"


def test_what_is_known_of_a_series_reaches_its_forecast_alone(csv: Path) -> None:
    static = {"a": (0.0, 1.0), "b": (1.0, 1.0), "c": (2.0, 1.0)}
    for decoder in ("direct", "segments"):
        task = task_of(csv, {"series_embedding": 2, "decoder": decoder}, static=static)
        features = task.module.features
        assert features is not None
        assert features.static_YS[:, 0].tolist() == pytest.approx([-1.2247, 0, 1.2247], abs=1e-3)
        assert not features.static_YS[:, 1].any(), "the same of all says nothing"
        batch = whole(task, "val")
        one = task.module(batch.past_BTD, batch.future_BFE, batch.series_B)
        with torch.no_grad():
            features.learnt_YS[1] += 1
        other = task.module(batch.past_BTD, batch.future_BFE, batch.series_B)
        changed = (one != other).any(dim=1)
        assert torch.equal(changed, batch.series_B == 1)


def test_masked_values_are_told_to_the_model_and_left_out_of_the_loss(csv: Path) -> None:
    frame = pd.read_csv(csv, index_col="when")
    frame.iloc[100:103, 1] = np.nan
    frame.to_csv(csv)
    rules = {"fill": "previous", "fill_up_to": 5}
    task = task_of(csv, missing="masked", rules=rules)
    assert task.prepared.table_ND.shape[1] == 6
    masks = task.prepared.table_ND[:, 3:6] * task.prepared.scaler.scale_C[3:6] + task.prepared.scaler.center_C[3:6]
    expected = np.zeros((ROWS, 3))
    expected[100:103, 1] = 1
    np.testing.assert_allclose(masks, expected, atol=1e-6)
    batch = whole(task, "train")
    assert torch.equal(batch.truth_BF.isnan().any(1),
                       (batch.series_B == 1) & (batch.origin_B > 96) & (batch.origin_B < 103))
    target = batch.target_BF.clone()
    target[batch.truth_BF.isnan()] = 99
    task.module.log = lambda *_, **__: None  # type: ignore[method-assign]
    one, other = (task.module.training_step(each, 0) for each in (batch, batch._replace(target_BF=target)))
    assert torch.equal(one, other)


def test_jitter_is_noise_on_the_past_of_the_targets_in_training_alone(csv: Path) -> None:
    task = task_of(csv, jitter=0.5, covariates=("temp",))
    batch, seen = whole(task, "train"), list[torch.Tensor]()
    task.module.log = lambda *_, **__: None  # type: ignore[method-assign]
    task.module.network.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    task.module.training_step(batch, 0)
    noise = seen[0] - batch.past_BTD
    assert float(noise[..., 0].std()) == pytest.approx(0.5, rel=0.05)
    assert not noise[..., 1:].any()
    first = task.module(batch.past_BTD, batch.future_BFE, batch.series_B)
    assert first.shape == batch.target_BF.shape
    assert torch.equal(seen[1], batch.past_BTD)


def write_ett(path: Path, rows: int = 17_420) -> Path:
    values = np.random.default_rng(0).normal(size=(rows, 7)).cumsum(axis=0)
    stamps = pd.date_range("2016-07-01", periods=rows, freq="1h", name="date")
    pd.DataFrame(values.round(3), columns=list(ETT_COLUMNS), index=stamps).to_csv(path)
    return path


def test_the_ett_protocol_has_twelve_four_and_four_months_of_thirty_days(tmp_path: Path) -> None:
    path = write_ett(tmp_path / "ETTh9.csv")
    data = ForecastingData(name="ett", path=str(path), horizon=96, lookback=720, scores="standardised", calendar=())
    task = Forecasting(data, ForecastModel(decoder="segments", hidden_size=4), batch_size=8, seed=1, say=lambda _: None)
    assert task.prepared.targets == ETT_COLUMNS
    assert {name: len(task.prepared.origins(name)) for name in ("train", "val", "test")} == {
        "train": 8640 - 720 - 96 + 1, "val": 2880 - 96 + 1, "test": 2880 - 96 + 1}
    assert int(task.prepared.origins("test")[0]) == 16 * 30 * 24
    train = pd.read_csv(path).iloc[:8640, 1:].to_numpy()
    np.testing.assert_allclose(task.prepared.scaler.center_C[:7], train.mean(0), rtol=1e-5)
    np.testing.assert_allclose(task.prepared.scaler.scale_C[:7], train.std(0), rtol=1e-5)


def test_other_counts_than_the_published_ones_are_refused(tmp_path: Path) -> None:
    path = write_ett(tmp_path / "ETTh1.csv", rows=17_000)
    with pytest.raises(DataError, match="17,000 rows, 1h apart, are not a file of ETT"):
        read(user_file(path), ForecastingData(name="ett", path=str(path)))


@pytest.mark.parametrize(("values", "words"), [
    ({"name": "ett"}, "'path' is missing: the file of 'ett'"),
    ({"name": "ett", "path": "a.csv", "splits": {"train": 0.5}}, "'splits' does not go with 'ett'"),
    ({"path": "a.csv", "targets": ["a"], "target": "b"}, "'target' and 'targets' are both given"),
    ({"path": "a.csv", "targets": ["a", "b"], "covariates": ["a"]}, "column 'a' is named twice"),
    ({"path": "a.csv", "target": "a", "horizons": [24]}, "horizons: 24 is not below horizon 24"),
    ({"path": "a.csv", "target": "a", "scores": "standardised", "transform": "log"}, "scores: standardised"),
    ({"path": "a.csv", "targets": ["a", "b"], "static": {"a": [1]}}, "do not name the same series: 'b'"),
    ({"path": "a.csv", "targets": ["a", "b"], "static": {"a": [1], "b": [1, 2]}}, "as many numbers"),
])
def test_settings_that_contradict_each_other_are_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build(ForecastingData, values, place="x.yaml: data")
    assert words in str(caught.value)


@pytest.mark.parametrize(("model", "values", "words"), [
    ({"decoder": "segments", "segment": 5}, {}, "pieces of 5 steps do not divide data.lookback 12"),
    ({"output": "gaussian"}, {"transform": "difference"}, "do not add up"),
    ({"series_embedding": 2}, {"channels": "joint"}, "no several series"),
])
def test_a_model_that_the_data_do_not_allow_is_refused(csv: Path, model: dict, values: dict, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        task_of(csv, model, **values)


def test_a_quantity_that_is_constant_over_train_is_refused_by_name(csv: Path) -> None:
    frame = pd.read_csv(csv, index_col="when")
    frame["b"] = 3.0
    frame.to_csv(csv)
    with pytest.raises(DataError, match="nothing to learn from column 'b'"):
        task_of(csv)
