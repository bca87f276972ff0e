"""A small real sweep on the pinned traffic data, made by the command line, and `gatesweep ui` on its store."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gatesweep.storage import place
from gatesweep.track.log import read

COMMAND = [sys.executable, "-c", "from gatesweep.cli import main; main()"]
SMALL = ("budget.trials=4", "scheduler.grace_epochs=1", "space.model.hidden_size={choice: [8, 16]}",
         "experiment.trainer.max_epochs=3", "experiment.data.stride=24", "experiment.data.eval_stride=6")


@dataclass(frozen=True)
class Swept:
    """A finished sweep: what the terminal said, and what its log holds, which is the truth that pages are held to."""

    home: Path
    sweep_id: str
    said: str
    log: list[dict[str, Any]] = field(repr=False)

    @property
    def epochs(self) -> dict[str, dict[int, float]]:
        """By trial, the objective of each epoch."""
        found: dict[str, dict[int, float]] = {}
        for record in self.log:
            if record["event"] == "result":
                found.setdefault(record["trial"], {})[record["epoch"]] = record["metrics"]["val/mae"]
        return found

    @property
    def params(self) -> dict[str, dict[str, Any]]:
        """By trial, what was proposed."""
        return {record["trial"]: record["params"] for record in self.log if record["event"] == "new"}

    @property
    def best(self) -> str:
        """The trial that was scored on the test split."""
        return str(next(record["trial"] for record in self.log if record["event"] == "best"))

    @property
    def question(self) -> str:
        return str(self.log[0]["spec"]["question"])

    def address(self, name: str, base: str) -> str:
        """What the summary prints behind `name`, at the place where this test serves it."""
        told = re.search(rf"^{name} +(http://127\.0\.0\.1:5000)(/\S+)$", self.said, re.MULTILINE)
        assert told, f"no address of '{name}' in:\n{self.said}"
        return base + told[2]


@pytest.fixture(scope="session")
def swept(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Swept:
    """Four trials of the traffic sweep, in 20 to 40 s; where the data is missing, the command fetches it first."""
    home = tmp_path_factory.mktemp("swept") / "home"
    settings = [word for value in SMALL for word in ("--set", value)]
    done = subprocess.run(
        [*COMMAND, "sweep", "configs/sweeps/traffic.yaml", "--id", "seen-by-people", *settings], cwd=root,
        env={**os.environ, "GATESWEEP_HOME": str(home)}, capture_output=True, text=True, timeout=240)  # fmt: skip
    assert done.returncode == 0, f"the sweep that the pages are to show did not run:\n{done.stderr}"
    log = read(place(home / "sweeps" / "seen-by-people"))
    return Swept(home, "seen-by-people", done.stdout, log)


@dataclass
class Pages:
    """A running `gatesweep ui`."""

    process: subprocess.Popen[str]
    base: str
    output: Path

    @property
    def said(self) -> str:
        return self.output.read_text()

    def wait(self, timeout_s: float = 120.0) -> None:
        """Until it answers."""
        ends = time.monotonic() + timeout_s
        while time.monotonic() < ends and self.process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.base}/health", timeout=2):
                    return
            except OSError:
                time.sleep(0.2)
        pytest.fail(f"gatesweep ui did not come up:\n{self.said}")

    def interrupt(self) -> int:
        """Ctrl-C in its terminal; its exit code."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(timeout=60)


@contextmanager
def served(home: Path) -> Iterator[Pages]:
    """`gatesweep ui` on a free port, ended afterwards whatever happens."""
    port, output, environment = free_port(), home / "ui.log", {**os.environ, "GATESWEEP_HOME": str(home)}
    with output.open("w") as log:
        process = subprocess.Popen([*COMMAND, "ui", "--port", str(port)], env=environment, stdout=log, stderr=log,
                                   text=True, start_new_session=True)  # fmt: skip
    pages = Pages(process, f"http://127.0.0.1:{port}", output)
    try:
        yield pages
    finally:
        if process.poll() is None:
            process.terminate()  # which ends the server that it started, too
            process.wait(timeout=60)


@pytest.fixture(scope="session")
def pages(swept: Swept) -> Iterator[Pages]:
    """One `gatesweep ui` for every test."""
    with served(swept.home) as running:
        running.wait()
        yield running


def free_port() -> int:
    """A port of the loopback interface that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
