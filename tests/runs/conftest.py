"""One store for all tests of this folder: making a database costs seconds, a run in it milliseconds."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gatesweep.track.store import Store, open_store


@pytest.fixture(scope="session")
def store(tmp_path_factory) -> Store:
    return open_store(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="session")
def hourly(tmp_path_factory) -> Path:
    """A CSV of a user's own: 60 days of a noisy daily wave."""
    hours = np.arange(60 * 24)
    rng = np.random.default_rng(0)
    load = 100 + 30 * np.sin(2 * np.pi * hours / 24) + rng.normal(0, 2, len(hours))
    path = tmp_path_factory.mktemp("data") / "load.csv"
    stamps = pd.date_range("2024-01-01", periods=len(hours), freq="h")
    pd.DataFrame({"when": stamps, "load": load.round(3)}).to_csv(path, index=False)
    return path


@pytest.fixture
def forecasting(hourly: Path) -> dict:
    """An experiment on it, trained in a second."""
    return {
        "name": "load",
        "task": "forecasting",
        "data": {"path": str(hourly), "time": "when", "target": "load", "horizon": 6, "lookback": 24, "stride": 4},
        "model": {"hidden_size": 8},
        "trainer": {"max_epochs": 2, "monitor": "val/mae"},
    }
