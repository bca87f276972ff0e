"""A real `mlflow server` over HTTP, started as `gatesweep ui` starts it, killed in the middle and started again."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from gatesweep.track.addresses import OUTCOME
from gatesweep.track.projector import Projector
from gatesweep.track.recorder import MlflowRecorder, start_run
from gatesweep.track.store import Store, open_store

from .conftest import MD5, Data
from .history import LOCK, NAME, contents, history, trial_config

pytestmark = pytest.mark.services


class Server:
    """`gatesweep ui` on the store of one home folder."""

    def __init__(self, home: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.home, self.process = home, None
        self.uri = f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        environment = {**os.environ, "GATESWEEP_HOME": str(self.home), "PYTHONPATH": os.pathsep.join(sys.path)}
        with (self.home / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", f"from gatesweep.cli.ui import ui; ui(port={self.port})"],
                env=environment, stdout=log, stderr=log, start_new_session=True)
        ends = time.monotonic() + 120
        while time.monotonic() < ends and self.process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.uri}/health", timeout=1):
                    return
            except OSError:
                time.sleep(0.2)
        pytest.fail((self.home / "server.log").read_text())

    def kill(self) -> None:
        assert self.process is not None
        command = psutil.Process(self.process.pid)
        for one in [*command.children(recursive=True), command]:
            one.kill()
        self.process.wait()


@pytest.fixture
def server(store: Store) -> Iterator[Server]:
    served = Server(store.home)
    served.start()
    yield served
    served.kill()


def test_a_server_killed_in_the_middle_of_a_sweep_has_everything_once_after_it_is_back(
        store: Store, server: Server, tmp_path: Path) -> None:
    remote, said, log = open_store(tmp_path / "other", server.uri), [], history()
    live = Projector(remote, "s-1", NAME, "which one?", trial_config, LOCK, [Data()], said.append, interval_s=0.05)
    live.reconcile(log[:1])
    run_id = start_run(remote, name="single", config={"seed": 1}, lock=LOCK, datasets=[Data()])
    recorder = MlflowRecorder(remote, run_id, deadline_s=60)
    for record in log[1:9]:
        live.feed(record)
    recorder.epoch(1, {"val/mae": 1.0}, 1)
    ends = time.monotonic() + 60
    while (live.unsent or recorder._box) and time.monotonic() < ends:
        time.sleep(0.05)

    server.kill()
    for record in log[9:]:
        live.feed(record)
    recorder.epoch(2, {"val/mae": 0.5}, 2)
    while not said and time.monotonic() < ends + 60:
        time.sleep(0.05)
    server.start()
    live.finish("completed", "It went well.")
    recorder.close("completed")
    assert live.close(60) == 0

    whole = Projector(store, "reference", NAME, "which one?", trial_config, LOCK, [Data()])
    whole.reconcile(history("reference"))
    whole.finish("completed", "It went well.")
    assert whole.close(30) == 0
    through_http, direct = contents(store), contents(store, "reference")
    for shown in (through_http, direct):  # the address of the charts names the server
        shown["SWEEP"]["tags"].pop("mlflow.note.content")
    assert through_http == direct
    assert [(p.step, p.value) for p in store.history(run_id, "val/mae")] == [(1, 1.0), (2, 0.5)]
    assert store.get_run(run_id).tags[OUTCOME] == "completed"
    assert store.get_run(run_id).datasets == {"traffic": MD5}

    # the pages that the UI reads: a local run's artifacts, listed and opened
    listing = f"{server.uri}/ajax-api/2.0/mlflow/artifacts/list?run_id={run_id}"
    with urllib.request.urlopen(listing, timeout=20) as answer:
        assert {"config.yaml", "lock.json", "diff.patch"} <= {file["path"] for file in json.load(answer)["files"]}
    with urllib.request.urlopen(f"{server.uri}/get-artifact?path=lock.json&run_uuid={run_id}", timeout=20) as answer:
        assert json.load(answer)["code"]["commit"] == "c0ffee"
    assert remote.artifact(run_id, "lock.json", tmp_path / "got").is_file()
