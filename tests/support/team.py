"""A project of a team's, and a shell in it: gatesweep, git and DVC beside the tracking server of tracking_server.py."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from command_line import COMMAND
from tracking_server import TrackingServer

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
    """Somebody's shell in a project, who logs in at the server with what it takes at that time."""

    folder: Path
    home: Path
    server: TrackingServer
    said: str = ""

    def __call__(self, *words: str, code: int = 0, **more: str) -> str:
        command = [*COMMAND, *words] if words[0] not in ("git", "dvc") else [
            *([sys.executable, "-m"] if words[0] == "dvc" else []), *words]  # fmt: skip
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "MLFLOW_"))}
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=300, check=False,
                              env={**kept, **self.server.login, "GATESWEEP_HOME": str(self.home), **more})  # fmt: skip
        self.said += done.stdout + done.stderr
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout


def make_project(client: Client) -> None:
    """A repository of git and DVC with a set of its own, pushed to S3, whose keys `dvc push` alone sees."""
    folder, objects = client.folder, client.server.objects
    hours = pd.date_range("2026-01-01", periods=600, freq="h")
    load = 50 + 20 * np.sin(np.arange(600) * 2 * np.pi / 24)
    pd.DataFrame({"when": hours, "load": load}).to_csv(folder / "load.csv", index=False)
    (folder / "exp.yaml").write_text(EXPERIMENT)
    (folder / "sweep.yaml").write_text(SWEEP)
    (folder / ".gitignore").write_text("/data/\n/load.csv\n")
    client("git", "init", "-q")
    client("dvc", "init", "-q")
    client("dvc", "remote", "add", "-d", "store", f"s3://{objects.bucket}/dvc")
    client("dvc", "remote", "modify", "store", "endpointurl", objects.endpoint)
    client("data", "add", "load.csv", "--name", "load", **objects.environment)
    client("dvc", "push", "-q", **objects.environment)
    client("git", "add", ".")
    client("git", "-c", "user.name=A", "-c", "user.email=a@b", "commit", "-qm", "first")
