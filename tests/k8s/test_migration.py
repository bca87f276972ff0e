"""The migration's own command, as its manifest has it, against a database of this machine; the pod is not run."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

from k8s_folders import Render


def test_the_migrations_command_brings_a_database_to_this_mlflow_without_naming_it(
    render: Render, tmp_path: Path
) -> None:
    (job,) = render("upgrade")
    container = job["spec"]["template"]["spec"]["containers"][0]
    assert "//" not in " ".join(container["command"])
    database = tmp_path / "mlflow.db"
    sqlite3.connect(database).close()
    environment = {**os.environ, "MLFLOW_BACKEND_STORE_URI": f"sqlite:///{database}"}
    done = subprocess.run([sys.executable, *container["command"][1:]], capture_output=True, text=True, cwd=tmp_path,
                          env=environment, timeout=200)  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    with sqlite3.connect(database) as connection:
        tables = {name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")}
    assert {"experiments", "runs", "metrics", "alembic_version"} <= tables
