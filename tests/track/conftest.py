"""A migrated store for every test: one is made per session (2 to 3 s), the others are copies of its file."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from gatesweep.track import sqlite
from gatesweep.track.store import Store, open_store

MD5 = "0123456789abcdef0123456789abcdef.dir"


@dataclass(frozen=True)
class Data:
    """A pinned set, as the tracker sees one."""

    name: str = "traffic"
    md5: str = MD5
    path: str = "data/traffic"


@pytest.fixture(autouse=True)
def _no_tracking_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a fresh, migrated store that nobody writes to."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setattr(sqlite, "_create", getattr(sqlite._create, "__wrapped__", sqlite._create))  # none of another's
        home = tmp_path_factory.mktemp("template")
        (home / "mlflow.db.new-4711").write_bytes(b"half a store")
        open_store(home)
    whole = home / "whole.db"
    with closing(sqlite3.connect(home / "mlflow.db")) as source, closing(sqlite3.connect(whole)) as target:
        source.backup(target)  # with what is still in the write-ahead log
    return whole


@pytest.fixture
def made_beside_a_killed_one(template: Path) -> list[str]:
    """What lies in a home folder where a first process died while it made the store, and a second one made it."""
    return sorted(path.name for path in template.parent.iterdir())


@pytest.fixture
def fresh_home(template: Path, tmp_path: Path) -> Callable[[str], Path]:
    """Makes a home folder that has a migrated store."""

    def make(name: str) -> Path:
        home = tmp_path / name
        home.mkdir(parents=True)
        shutil.copy(template, home / "mlflow.db")
        return home

    return make


@pytest.fixture
def store(fresh_home: Callable[[str], Path]) -> Store:
    """A local store, migrated and empty."""
    return open_store(fresh_home("my home"))
