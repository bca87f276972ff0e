"""The command line in processes of its own, and what it left: for tests."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

from gatesweep.storage import place
from gatesweep.track.log import read


def start(*arguments: str) -> subprocess.Popen[str]:
    """gatesweep in a process group of its own."""
    command = [sys.executable, "-c", "from gatesweep.cli import main; main()", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def end(process: subprocess.Popen[str], timeout_s: float = 300) -> tuple[int, str, str]:
    """Exit code, stdout, stderr."""
    out, err = process.communicate(timeout=timeout_s)
    return process.returncode, out, err


def log_of(home: Path, sweep_id: str) -> list[dict[str, Any]]:
    """A sweep's log as it stands; empty before its first record."""
    at = place(home / "sweeps" / sweep_id)
    return read(at) if at.exists("log.jsonl") else []


def rows(home: Path, query: str) -> list[tuple[Any, ...]]:
    """Of the home folder's tracking database."""
    with sqlite3.connect(f"file:{home / 'mlflow.db'}?mode=ro", uri=True) as database:
        return database.execute(query).fetchall()
