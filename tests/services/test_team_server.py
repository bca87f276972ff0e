"""MLflow on PostgreSQL and S3 with users: a sweep from a client without keys, then backup, wipe, restore."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import s3fs
from object_store import ObjectStore
from team import Client
from tracking_server import TrackingServer

pytestmark = [pytest.mark.services, pytest.mark.timeout(420)]

def test_a_model_is_loaded_again_by_a_client_without_keys(
        client: Client, swept: dict[str, Any], tmp_path: Path) -> None:
    assert swept["outcomes"]["completed"] == 2
    colleague = Client(client.folder, tmp_path / "home", client.server)
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
    colleague = Client(client.folder, tmp_path / "home", client.server)
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

    clone = Client(tmp_path / "clone", tmp_path / "home", client.server)
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
