"""What a tracking store holds, as plain values, and files written whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from gatesweep.errors import StoreError


class Refused(StoreError):
    """MLflow will never take this: a value out of its limits, or a run that somebody deleted."""


class Point(NamedTuple):
    """One value of one metric; the same point sent twice is one row."""

    key: str
    value: float
    timestamp_ms: int
    step: int


@dataclass(frozen=True)
class StoredRun:
    """A run as the store has it."""

    run_id: str
    experiment_id: str
    name: str
    status: str
    started_ms: int
    ended_ms: int | None
    artifact_uri: str
    tags: Mapping[str, str]
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    """The last value of each metric."""
    datasets: Mapping[str, str] = field(default_factory=dict)
    """Digest by name."""


def write_whole(path: Path, text: str) -> None:
    """A text file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_text(text, encoding="utf-8")
    os.replace(fresh, path)


def copy_into(source: Path, target: Path) -> None:
    """A file into the folder `target`, or a folder's content, over what is there."""
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    else:
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target / source.name)
