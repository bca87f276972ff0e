"""pandas in, pandas out; and the same settings walking forward in time."""

from __future__ import annotations

from itertools import pairwise, permutations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gatesweep.errors import ConfigError, DataError
from gatesweep.runs.backtest import backtest, shares
from gatesweep.runs.evaluation import evaluate
from gatesweep.runs.experiment import experiment_from
from gatesweep.runs.forecasting import forecast

SMALL = {"data": {"lookback": 12, "seasonal": [6, 24], "stride": 4}, "trainer": {"max_epochs": 2, "batch_size": 32},
         "model": {"hidden_size": 8}}  # fmt: skip


@pytest.fixture
def frame() -> pd.DataFrame:
    hours = np.arange(400)
    flag = (hours // 24 % 2).astype(float)
    load = 100 + 30 * np.sin(2 * np.pi * hours / 24) + 20 * flag + np.random.default_rng(0).normal(0, 1, 400)
    return pd.DataFrame({"load": load, "flag": flag}, index=pd.date_range("2024-01-01", periods=400, freq="1h"))


def future_of(frame: pd.DataFrame, value: float, steps: int = 6) -> pd.DataFrame:
    stamps = pd.date_range(frame.index[-1], periods=steps + 1, freq="1h")[1:]
    return pd.DataFrame({"flag": value}, index=stamps)


def test_a_frame_goes_on_where_it_ends(store, frame: pd.DataFrame) -> None:
    found = forecast(frame, store, horizon=6, known=["flag"], future=future_of(frame, 0.0), config=SMALL)
    assert list(found.columns) == ["origin", "step", "time", "forecast"]
    assert (found["origin"] == frame.index[-1]).all()
    assert found["time"].tolist() == list(pd.date_range("2024-01-17 16:00", periods=6, freq="1h"))
    assert found["forecast"].between(0, 250).all()
    assert set(found.attrs) == {"run_id", "metrics", "baseline"}
    assert "test/mae" in found.attrs["metrics"]


def test_a_trained_run_reads_a_longer_frame_and_what_is_known_ahead_matters(store, frame: pd.DataFrame) -> None:
    first = forecast(frame, store, horizon=6, known=["flag"], future=future_of(frame, 0.0), config=SMALL)
    again = forecast(frame, store, run_name=first.attrs["run_id"], future=future_of(frame, 0.0))
    pd.testing.assert_frame_equal(first, again)
    other = forecast(frame, store, run_name=first.attrs["run_id"], future=future_of(frame, 1.0))
    assert not np.allclose(other["forecast"], again["forecast"])
    shorter = forecast(frame.iloc[:-6], store, run_name=first.attrs["run_id"], future=frame.iloc[-6:])
    run_id = first.attrs["run_id"]
    csv = next((store.home / "forecasts").glob("*.csv"))
    scored = evaluate(run_id, store, split="test", predictions=store.home / "all.csv")
    assert scored.metrics["test/mae"] == pytest.approx(first.attrs["metrics"]["test/mae"])
    table = pd.read_csv(store.home / "all.csv", parse_dates=["origin", "time"])
    last = table[table["origin"] == frame.index[-7]]
    np.testing.assert_allclose(shorter["forecast"], last["forecast"], rtol=1e-5)
    assert csv.is_file()


def test_a_column_alone_and_stamps_with_a_time_zone_go_on_in_utc(store, frame: pd.DataFrame) -> None:
    berlin = frame["load"].set_axis(pd.date_range("2024-10-20", periods=400, freq="1h", tz="Europe/Berlin"))
    found = forecast(berlin, store, horizon=3, config=SMALL)
    assert found["time"].tolist() == list(pd.date_range("2024-11-05 14:00", periods=3, freq="1h"))
    utc = berlin.tz_convert("UTC").tz_localize(None).to_frame()
    again = forecast(utc, store, run_name=found.attrs["run_id"])
    np.testing.assert_array_equal(again["forecast"], found["forecast"])


def test_what_was_done_to_another_file_is_said_before_it_is_scored(store, frame: pd.DataFrame, tmp_path: Path) -> None:
    rules = {"fill": "linear", "fill_up_to": 3, "longer": "split"}
    run_id = forecast(frame, store, horizon=3, known=["flag"], future=future_of(frame, 0.0, steps=3),
                      config={**SMALL, "data": {**SMALL["data"], "rules": rules}}).attrs["run_id"]  # fmt: skip
    frame.drop(frame.index[[40, 41]]).to_csv(tmp_path / "gap.csv", index_label="time")
    said: list[str] = []
    evaluate(run_id, store, split="test", data=tmp_path / "gap.csv", say=said.append)
    assert any("398 rows read" in line for line in said), said
    assert any("filled" in line and "2" in line for line in said), said


def test_several_columns_with_quantiles(store, frame: pd.DataFrame) -> None:
    many = pd.DataFrame({"when": frame.index, "a": frame["load"].to_numpy(), "b": -3 * frame["load"].to_numpy()})
    config = SMALL | {"model": {"hidden_size": 8, "output": "quantiles", "levels": [0.1, 0.5, 0.9]}}
    found = forecast(many, store, horizon=4, config=config)
    assert list(found.columns) == ["origin", "step", "time", "series", "forecast", "q10", "q50", "q90"]
    assert found["series"].tolist() == ["a"] * 4 + ["b"] * 4
    assert ((found["q10"] <= found["q50"]) & (found["q50"] <= found["q90"])).all()


def test_what_a_forecast_cannot_be_made_of_is_refused(store, frame: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="no index of stamps"):
        forecast(frame.reset_index(drop=True), store, horizon=6)
    with pytest.raises(DataError, match="holds no numbers"):
        forecast(frame.assign(word="x"), store, horizon=6)
    with pytest.raises(ConfigError, match="its own horizon"):
        forecast(frame, store, horizon=6, run_name="a run")
    trained = forecast(frame, store, horizon=6, known=["flag"], future=future_of(frame, 0.0), config=SMALL)
    run_id = trained.attrs["run_id"]
    with pytest.raises(DataError, match="'flag' is known ahead, and its values over the horizon are not given"):
        forecast(frame, store, run_name=run_id)
    with pytest.raises(DataError, match="the future has 3 rows"):
        forecast(frame, store, run_name=run_id, future=future_of(frame, 0.0, steps=3))
    late, twice = future_of(frame, 0.0), future_of(frame, 0.0)
    for future in (late.set_axis(late.index + pd.Timedelta("365D")), late.set_axis(late.index + pd.Timedelta("30min")),
                   twice.set_axis(twice.index[[0, 0, 1, 2, 3, 4]]), late.set_axis(late.index - pd.Timedelta("2h"))):
        with pytest.raises(DataError, match="wanted are 6 rows from 2024-01-17 16:00:00 on, one every 1h"):
            forecast(frame, store, run_name=run_id, future=future)
    with pytest.raises(DataError, match="reads 12 rows before a forecast, and 8"):
        forecast(frame.iloc[:8], store, run_name=run_id, future=future_of(frame.iloc[:8], 0.0))


def test_the_folds_of_a_backtest_walk_forward_and_test_no_row_twice() -> None:
    found = shares(4, 0.1, 0.05)
    ends = [(each["train"], each["train"] + each["val"], sum(each.values())) for each in found]
    assert ends[-1][2] == pytest.approx(1)
    for one, other in pairwise(ends):
        assert other[1] == pytest.approx(one[2]), "the next test begins where this one ended"
        assert other[0] > one[0]
    with pytest.raises(ConfigError, match="9 folds"):
        shares(9, 0.1, 0.1)


def test_every_fold_is_a_run_on_a_longer_past(store, frame: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "load.csv"
    frame.rename_axis("when").to_csv(path)
    config = experiment_from({"task": "forecasting", "seed": 1, **SMALL,
                              "data": {**SMALL["data"], "path": str(path), "target": "load", "horizon": 6}},
                             place="test")  # fmt: skip
    found = backtest(config, store, folds=2, test=0.15, val=0.15)
    assert [fold.splits["train"] for fold in found.folds] == pytest.approx([0.55, 0.7])
    table = found.table()
    assert table["test/mae"].mean() == pytest.approx(found.mean["test/mae"])
    assert found.baseline["name"] in {", ".join(names) for names in permutations(
        {fold.baseline["name"] for fold in found.folds})}
    assert found.baseline["metrics"]["test/mae"] == pytest.approx(table["baseline/test/mae"].mean())
    assert len({store.get_run(fold.run_id).run_id for fold in found.folds}) == 2
    with pytest.raises(ConfigError, match="split by time"):
        backtest(config.model_copy(update={"task": "translation"}), store)
