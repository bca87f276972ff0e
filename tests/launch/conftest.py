"""Clusters and projects that tests of submissions share."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import write_project

from gatesweep.launch.config import cluster_from
from gatesweep.launch.sections import ClusterConfig

RAY = {"kind": "ray", "name": "lab", "address": "http://127.0.0.1:9", "tracking": "http://mlflow:5000"}


def run_git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=A", "-c", "user.email=a@b", "-c", "init.defaultBranch=main"]
    done = subprocess.run(["git", "-C", str(folder), *identity, *words], check=True, capture_output=True, text=True)
    return done.stdout


@pytest.fixture
def ray_cluster(tmp_path: Path) -> Callable[..., ClusterConfig]:
    """A cluster of kind ray on this test's own storage, with further keys."""

    def make(**changes: Any) -> ClusterConfig:
        return cluster_from({**RAY, "storage": str(tmp_path / "shared"), **changes}, place="lab.yaml")

    return make


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_home: Path) -> Path:
    """A git repository with a sweep over the toy task; the working folder."""
    folder = tmp_path / "project"
    folder.mkdir()
    write_project(folder)
    (folder / "model.py").write_text("forget = 1\n")
    (folder / ".gitignore").write_text("ignored.bin\n")
    run_git(folder, "init", "-q")
    run_git(folder, "add", ".")
    run_git(folder, "commit", "-q", "-m", "first")
    monkeypatch.chdir(folder)
    return folder
