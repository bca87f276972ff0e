"""One tracking server, one project and one sweep for all tests of this folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from object_store import ObjectStore
from team import Client, make_project
from tracking_server import TrackingServer, serve


@pytest.fixture(scope="session")
def server(object_store: ObjectStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrackingServer]:
    with serve(tmp_path_factory.mktemp("team") / "server", object_store) as running:
        yield running


@pytest.fixture(scope="session")
def client(server: TrackingServer, tmp_path_factory: pytest.TempPathFactory) -> Client:
    """Its owner has the keys of DVC's remote only."""
    folder = tmp_path_factory.mktemp("project")
    made = Client(folder, folder.parent / "home", server)
    make_project(made)
    return made


@pytest.fixture(scope="session")
def swept(client: Client) -> dict[str, Any]:
    """What the sweep `team` printed."""
    found: dict[str, Any] = json.loads(client("sweep", "sweep.yaml", "--id", "team", "--json"))
    return found
