"""MLflow on PostgreSQL and S3 with users: a sweep from a client without keys, then backup, wipe, restore."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import s3fs
from command_line import COMMAND
from object_store import ObjectStore
from tracking_server import TrackingServer, serve

pytestmark = [pytest.mark.services, pytest.mark.timeout(420)]

EXPERIMENT = """
task: forecasting
data: {path: data/load/load.csv, time: when, target: load, horizon: 6, lookback: 24, stride: 8}
model: {hidden_size: 4}
trainer: {max_epochs: 2, monitor: val/mae}
"""
SWEEP = """
experiment: {file: exp.yaml}
objective: {metric: val/mae}
space: {model.hidden_size: {choice: [4, 8]}, optimizer.lr: {log_uniform: [1e-3, 1e-1]}}
scheduler: {name: none}
budget: {trials: 2, concurrent: 1}
"""


@dataclass
class Client:
    """Somebody's shell in a project."""

    folder: Path
    home: Path
    environment: dict[str, str]
    said: str = ""

    def __call__(self, *words: str, code: int = 0, **more: str) -> str:
        command = [*COMMAND, *words] if words[0] not in ("git", "dvc") else [
            *([sys.executable, "-m"] if words[0] == "dvc" else []), *words]  # fmt: skip
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "MLFLOW_"))}
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=300, check=False,
                              env={**kept, **self.environment, "GATESWEEP_HOME": str(self.home), **more})  # fmt: skip
        self.said += done.stdout + done.stderr
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def server(object_store: ObjectStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrackingServer]:
    with serve(tmp_path_factory.mktemp("team") / "server", object_store) as running:
        yield running


@pytest.fixture(scope="module")
def client(server: TrackingServer, tmp_path_factory: pytest.TempPathFactory) -> Client:
    """A repository of git and DVC with a set of its own, pushed to S3; its owner has the keys of DVC's remote only."""
    folder = tmp_path_factory.mktemp("project")
    made = Client(folder, folder.parent / "home", server.login)
    hours = pd.date_range("2026-01-01", periods=600, freq="h")
    load = 50 + 20 * np.sin(np.arange(600) * 2 * np.pi / 24)
    pd.DataFrame({"when": hours, "load": load}).to_csv(folder / "load.csv", index=False)
    (folder / "exp.yaml").write_text(EXPERIMENT)
    (folder / "sweep.yaml").write_text(SWEEP)
    (folder / ".gitignore").write_text("/data/\n/load.csv\n")
    made("git", "init", "-q")
    made("dvc", "init", "-q")
    made("dvc", "remote", "add", "-d", "store", f"s3://{server.objects.bucket}/dvc")
    made("dvc", "remote", "modify", "store", "endpointurl", server.objects.endpoint)
    made("data", "add", "load.csv", "--name", "load", **server.objects.environment)
    made("dvc", "push", "-q", **server.objects.environment)
    made("git", "add", ".")
    made("git", "-c", "user.name=A", "-c", "user.email=a@b", "commit", "-qm", "first")
    return made


@pytest.fixture(scope="module")
def swept(client: Client) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(client("sweep", "sweep.yaml", "--id", "team", "--json"))
    return found


def test_a_model_is_loaded_again_by_a_client_without_keys(
        client: Client, swept: dict[str, Any], tmp_path: Path) -> None:
    assert swept["outcomes"]["completed"] == 2
    colleague = Client(client.folder, tmp_path / "home", client.environment)
    scored = json.loads(colleague("evaluate", "best:team", "--split", "test", "--json"))
    assert scored["metrics"]["test/mae"] == pytest.approx(swept["best"]["metrics"]["test/mae"], rel=1e-6)
    assert not list(tmp_path.rglob("mlflow.db"))


def test_json_is_all_that_is_printed_beside_a_server(client: Client) -> None:
    answer = json.loads(client("run", "exp.yaml", "--set", "trainer.max_epochs=1", "--json"))
    assert answer["metrics"]["val/mae"] > 0


def test_a_wrong_password_is_told_before_anything_is_trained(client: Client, server: TrackingServer) -> None:
    said = len(client.said)
    client("run", "exp.yaml", code=2, MLFLOW_TRACKING_PASSWORD="not-it")
    assert "MLFLOW_TRACKING_PASSWORD" in client.said[said:]
    assert "not-it" not in client.said[said:]


def test_no_secret_is_in_the_database_the_store_or_what_was_said(
        client: Client, swept: dict[str, Any], server: TrackingServer, tmp_path: Path) -> None:
    planted = [server.password, server.postgres.password, server.objects.secret]
    texts = {"said": client.said.encode()}
    for path in [*client.home.rglob("*"), *client.folder.rglob("*")]:
        if path.is_file():
            texts[str(path)] = path.read_bytes()
    store = _client(server.objects)
    for name in store.find(f"{server.objects.bucket}/"):
        texts[name] = store.cat_file(name)
    dump = _backup(server, tmp_path / "dump")
    texts["database"] = (dump / "mlflow.sql").read_bytes()
    assert b"gatesweep.sweep_id" in texts["database"]
    assert len(texts) > 20
    assert [name for name, text in texts.items() if any(secret.encode() in text for secret in planted)] == []


def test_after_backup_wipe_and_restore_runs_artifacts_and_data_are_back(
        client: Client, swept: dict[str, Any], server: TrackingServer, tmp_path: Path) -> None:
    kept, store = tmp_path / "backup", _client(server.objects)
    server.stop()
    _backup(server, kept)
    store.get(f"{server.objects.bucket}/", str(kept / "objects") + "/", recursive=True)

    server.postgres.drop("mlflow", "auth")
    server.postgres.create("mlflow", "auth")
    for name in ("artifacts", "dvc"):
        store.rm(f"{server.objects.bucket}/{name}", recursive=True)
    store.invalidate_cache()
    server.start()
    colleague = Client(client.folder, tmp_path / "home", client.environment)
    colleague("evaluate", "best:team", "--split", "test", code=2)
    assert "no sweep 'team' in the store" in colleague.said
    server.stop()

    server.postgres.drop("mlflow", "auth")
    server.postgres.create("mlflow", "auth")
    for name in ("mlflow", "auth"):
        server.postgres.run("psql", *server.postgres.connection, "-q", "-v", "ON_ERROR_STOP=1", name,
                            given=(kept / f"{name}.sql").read_text())
    for name in ("artifacts", "dvc"):
        store.put(str(kept / "objects" / name) + "/", f"{server.objects.bucket}/{name}/", recursive=True)
    server.start()
    scored = json.loads(colleague("evaluate", "best:team", "--split", "test", "--json"))
    assert scored["metrics"]["test/mae"] == pytest.approx(swept["best"]["metrics"]["test/mae"], rel=1e-6)

    clone = Client(tmp_path / "clone", tmp_path / "home", client.environment)
    clone.folder.mkdir()
    clone("git", "clone", "-q", str(client.folder), ".")
    clone("data", "pull", "load", **server.objects.environment)
    assert (clone.folder / "data" / "load" / "load.csv").read_bytes() == (client.folder / "load.csv").read_bytes()
    assert json.loads(clone("reproduce", "best:team", "--json"))["verdict"] == "bitwise"


def _backup(server: TrackingServer, folder: Path) -> Path:
    """Both databases as SQL, read by the one who runs PostgreSQL's programs."""
    folder.mkdir(parents=True)
    for name in ("mlflow", "auth"):
        (folder / f"{name}.sql").write_text(server.postgres.output("pg_dump", *server.postgres.connection, "--no-owner",
                                                                   name))
    return folder


def _client(objects: ObjectStore) -> s3fs.S3FileSystem:
    return s3fs.S3FileSystem(endpoint_url=objects.endpoint, key=objects.key, secret=objects.secret,
                             skip_instance_cache=True)
