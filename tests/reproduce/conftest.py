"""A home folder of this folder's own, and small runs of a toy task in it: a database costs seconds, a run little."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gatesweep.runs.experiment import ExperimentConfig, experiment_from
from gatesweep.runs.training import run
from gatesweep.track.store import Store, open_store

TOY: dict[str, Any] = {
    "name": "toy",
    "task": "toy_task:ToyTask",
    "data": {"examples": 32},
    "model": {"hidden_size": 4, "dropout": 0.1},
    "trainer": {"max_epochs": 3, "batch_size": 16, "monitor": "val/mae"},
    "seed": 1,
}

Train = Callable[..., str]
Toy = Callable[..., ExperimentConfig]


def _toy(**changes: Any) -> ExperimentConfig:
    raw = {**TOY, **{key: {**TOY.get(key, {}), **value} if isinstance(value, dict) else value
                     for key, value in changes.items()}}  # fmt: skip
    return experiment_from(raw, place="test")


@pytest.fixture(scope="session")
def toy() -> Toy:
    """The toy's configuration with changes to its sections."""
    return _toy


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def store(home: Path) -> Store:
    return open_store(home)


@pytest.fixture(autouse=True)
def _outside_any_repository(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands find this home; the state of the source tree that the tests are run in decides nothing."""
    monkeypatch.setenv("GATESWEEP_HOME", str(home))
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def train(store: Store) -> Train:
    """Train the toy with changes to its sections; a run that was asked for before is the same run."""
    known: dict[str, str] = {}

    def trained(*, tags: dict[str, str] | None = None, fresh: bool = False, **changes: Any) -> str:
        config = _toy(**changes)
        key = repr((config, tags))
        if fresh or key not in known:
            with contextlib.chdir(store.home):  # no repository: the state of this one's tree decides nothing
                known[key] = run(config, store, tags=tags).run_id
        return known[key]

    return trained
