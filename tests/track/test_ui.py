"""`gatesweep ui`: what it starts, and what it refuses to start."""

from __future__ import annotations

import socket
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gatesweep.cli.ui import ui
from gatesweep.errors import StoreError, UserError
from gatesweep.track.store import open_store


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    told: dict[str, Any] = {}

    class Server:
        """Stands for one that Ctrl-C ends at once."""

        def __init__(self, command: list[str], *, env: dict[str, str], **how: Any) -> None:
            told.update(command=command, environment=env)

        def wait(self) -> int:
            raise KeyboardInterrupt

        def poll(self) -> int:
            return 0

    monkeypatch.setattr(subprocess, "Popen", Server)
    return told


@pytest.fixture
def home(fresh_home: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = fresh_home("home")
    monkeypatch.setenv("GATESWEEP_HOME", str(folder))
    return folder


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_it_serves_the_local_store_on_loopback_and_says_where_first(
        home: Path, started: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    port = free_port()
    ui(port=port)
    command = " ".join(started["command"])
    assert capsys.readouterr().out.startswith(f"http://127.0.0.1:{port}")
    assert f"--backend-store-uri sqlite:///{home / 'mlflow.db'}" in command
    assert f"--host 127.0.0.1 --port {port}" in command
    assert started["environment"]["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"
    assert started["environment"]["MLFLOW_DISABLE_TELEMETRY"] == "true"


def test_it_says_the_address_of_each_experiment_that_has_runs_the_newest_first(
        home: Path, started: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    store = open_store(home)
    for at, name in enumerate(("traffic", "energy"), start=1):
        store.create_run(store.experiment(name), "a run", {}, 1_700_000_000_000 + at)
    store.experiment("empty")
    ui(port=(port := free_port()))
    addresses = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    assert [name for name, _ in addresses] == ["energy:", "traffic:"]
    assert all(address.startswith(f"http://127.0.0.1:{port}/#/experiments/") for _, address in addresses)


def test_without_a_store_it_says_how_to_get_one(tmp_path: Path, started: dict[str, Any],
                                               monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATESWEEP_HOME", str(tmp_path / "none"))
    with pytest.raises(StoreError, match="gatesweep run"):
        ui(port=free_port())
    assert not started
    assert not (tmp_path / "none").exists()


def test_a_foreign_file_is_refused(tmp_path: Path, started: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database:
        database.execute("CREATE TABLE shopping (item TEXT)")
    monkeypatch.setenv("GATESWEEP_HOME", str(tmp_path))
    with pytest.raises(StoreError, match="not an MLflow store"):
        ui(port=free_port())


def test_a_taken_port_is_named_with_another_to_take(home: Path, started: dict[str, Any]) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(UserError, match=f"--port {port + 1}"):
            ui(port=port)
    assert not started


def test_where_a_server_holds_the_runs_its_address_is_said(started: dict[str, Any], monkeypatch: pytest.MonkeyPatch,
                                                           capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ann:hunter2@tracker:5000")
    ui(port=free_port())
    assert capsys.readouterr().out == "the runs are on a server already: http://tracker:5000\n"
    assert not started
