"""Every secret of a tracking server is changed, as docs/operations.md says: the old one ends, and nothing is lost."""

from __future__ import annotations

import json
import secrets
from base64 import b64encode
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
import s3fs
from team import Client
from tracking_server import TrackingServer

pytestmark = [pytest.mark.services, pytest.mark.timeout(420)]


def test_a_password_of_mlflows_is_changed_without_a_restart(
        client: Client, swept: dict[str, Any], server: TrackingServer) -> None:
    old, new = server.password, secrets.token_hex(16)
    assert _ask(server, old, "GET", "experiments/search?max_results=1") == 200
    user = server.login["MLFLOW_TRACKING_USERNAME"]
    body = {"username": user, "current_password": old, "password": new}
    assert _ask(server, old, "PATCH", "users/update-password", body) == 200
    assert _ask(server, old, "GET", "experiments/search?max_results=1") == 401
    server.password = new
    assert json.loads(client("evaluate", "best:team", "--split", "test", "--json"))["metrics"]


def _ask(server: TrackingServer, password: str, method: str, what: str, body: dict[str, str] | None = None) -> int:
    connection = HTTPConnection("127.0.0.1", server.port, timeout=60)
    login = b64encode(f"{server.login['MLFLOW_TRACKING_USERNAME']}:{password}".encode()).decode()
    headers = {"Authorization": f"Basic {login}", "Content-Type": "application/json"}
    connection.request(method, f"/api/2.0/mlflow/{what}", body and json.dumps(body), headers)
    status = connection.getresponse().status
    connection.close()
    return status


def test_a_server_with_a_new_database_password_and_new_keys_of_s3_serves_what_it_served(
        client: Client, swept: dict[str, Any], server: TrackingServer, tmp_path: Path) -> None:
    postgres, objects = server.postgres, server.objects
    old, old_keys = postgres.password, (objects.key, objects.secret)
    new, new_keys = secrets.token_hex(16), ("gatesweep-next", secrets.token_hex(16))

    postgres.run("psql", *postgres.connection, "-q", "postgres", given=f"ALTER USER {postgres.user} PASSWORD '{new}'")
    with pytest.raises(RuntimeError, match="password authentication failed"):
        postgres.output("psql", *postgres.connection, "-c", "select 1", "mlflow")
    objects.admit(old_keys, new_keys)  # both, until nobody uses the old ones
    objects.stop()
    objects.start()
    server.stop()
    postgres.password, (objects.key, objects.secret) = new, new_keys
    server.start()
    objects.admit(new_keys)
    objects.stop()
    objects.start()

    colleague = Client(client.folder, tmp_path / "home", server)
    scored = json.loads(colleague("evaluate", "best:team", "--split", "test", "--json"))
    assert scored["metrics"]["test/mae"] == pytest.approx(swept["best"]["metrics"]["test/mae"], rel=1e-6)
    with pytest.raises(PermissionError):
        _client(objects.endpoint, *old_keys).ls(objects.bucket)
    assert _client(objects.endpoint, *new_keys).ls(objects.bucket)
    assert old != postgres.password


def _client(endpoint: str, key: str, secret: str) -> s3fs.S3FileSystem:
    return s3fs.S3FileSystem(endpoint_url=endpoint, key=key, secret=secret, skip_instance_cache=True)
