"""The command line for tests, in this process or in others, on a project of a toy task; and what it left."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gatesweep.cli import main
from gatesweep.launch.followed import find
from gatesweep.launch.status import status
from gatesweep.storage import place
from gatesweep.track.log import read

COMMAND = [sys.executable, "-c", "from gatesweep.cli import main; main()"]
EXPERIMENT = "task: toy_task:ToyTask\ndata: {examples: 32}\ntrainer: {max_epochs: 3}\n"
SWEEP = """
experiment: {file: exp.yaml}
objective: {metric: val/mae}
space:
  model.hidden_size: {choice: [4, 8]}
  optimizer.lr: {log_uniform: [1e-3, 1e-1]}
budget: {trials: 2, concurrent: 1}
"""


def write_project(folder: Path, experiment: str = EXPERIMENT, sweep: str = SWEEP, **others: str) -> Path:
    """A sweep over the toy task in `folder`, and further files of this stem."""
    for name, text in {"exp": experiment, "sweep": sweep, **others}.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder


def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[int, str, str]:
    """gatesweep in this process: exit code, stdout, stderr."""
    monkeypatch.setattr(sys, "argv", ["gatesweep", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def start(*arguments: str) -> subprocess.Popen[str]:
    """gatesweep in a process group of its own."""
    return subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            start_new_session=True)  # fmt: skip


def end(process: subprocess.Popen[str], timeout_s: float = 300) -> tuple[int, str, str]:
    """Exit code, stdout, stderr."""
    out, err = process.communicate(timeout=timeout_s)
    return process.returncode, out, err


def log_of(home: Path, sweep_id: str) -> list[dict[str, Any]]:
    """A sweep's log as it stands; empty before its first record."""
    at = place(home / "sweeps" / sweep_id)
    return read(at) if at.exists("log.jsonl") else []


def wait_for(home: Path, sweep_id: str, results: int, process: subprocess.Popen[str]) -> None:
    """Until the log holds so many results, or the sweep is over."""
    while process.poll() is None and sum(r["event"] == "result" for r in log_of(home, sweep_id)) < results:
        time.sleep(0.1)


def kill(process: subprocess.Popen[str]) -> None:
    """SIGKILL to a command that `start` gave, and to all that it started."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def rows(home: Path, query: str) -> list[tuple[Any, ...]]:
    """Of the home folder's tracking database."""
    with sqlite3.connect(f"file:{home / 'mlflow.db'}?mode=ro", uri=True) as database:
        return database.execute(query).fetchall()


class Terminal:
    """Calls the command line in a folder, and keeps all that it said."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder, self.home, self.said = folder, home, ""

    def __call__(self, *words: str, code: int = 0) -> str:
        done = subprocess.run([*COMMAND, *words], cwd=self.folder, capture_output=True, text=True, timeout=300,
                              check=False)  # fmt: skip
        self.said += done.stdout + done.stderr
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def until(self, sweep_id: str, reached: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
        """Ask as `gatesweep status` does, in this process: a new one takes seconds on a busy machine."""
        deadline_s = time.monotonic() + 240
        while not reached(told := status(find(sweep_id, self.home), print)):
            assert time.monotonic() < deadline_s, told
            time.sleep(0.5)
        return told
