"""What `gatesweep doctor` says about the tracking store. It creates and migrates nothing."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Literal

from gatesweep.errors import StoreError
from gatesweep.track import sqlite, vendor

Level = Literal["ok", "warn", "fail"]


def check(home: Path) -> tuple[Level, str]:
    """One line on the store that `open_store(home)` would open: a level, and what to do where it is not `ok`."""
    uri = os.environ.get("MLFLOW_TRACKING_URI") or sqlite.address(home.absolute() / "mlflow.db")
    file = sqlite.file_of(uri)
    try:
        if file is None:
            vendor.must_answer(uri)
            return "ok", f"{vendor.public(uri)} answers"
        return _check_file(file)
    except StoreError as error:
        return "fail", " ".join(str(error).split())


def _check_file(file: Path) -> tuple[Level, str]:
    if not file.exists():
        folder = next(folder for folder in file.parents if folder.exists())
        if not os.access(folder, os.W_OK | os.X_OK):
            return "fail", f"{folder} cannot be written: choose another folder with GATESWEEP_HOME"
        return "ok", f"{file}: not made yet, its folder can be written"
    version, head = sqlite.examine(file, whole=True), sqlite.migrations().get_current_head()
    _try_writing(file)
    if version != head:
        return "warn", f"{file}: schema {version}, this MLflow has {head}: the next run migrates it, after a copy"
    with closing(sqlite3.connect(file)) as database:
        mode = database.execute("PRAGMA journal_mode").fetchone()[0]
    if mode != "wal":
        return "warn", f"{file}: journal mode {mode}: the next run or sweep asks for wal"
    return "ok", f"{file}: whole, writable, migrated, {file.stat().st_size / 2**20:.1f} MiB"


def _try_writing(file: Path) -> None:
    try:
        with closing(sqlite3.connect(file, timeout=5.0, isolation_level=None)) as database:
            database.execute("BEGIN IMMEDIATE")
            database.execute("ROLLBACK")
    except sqlite3.OperationalError as error:
        raise StoreError(f"cannot be written: {error}", place=str(file),
                         hint="check its owner, or who holds it") from None
