"""What a disturbed sweep left behind, counted: in MLflow's database, and against trainings that nobody disturbed."""

from __future__ import annotations

import datetime
import json
import os
import platform
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Counts:
    """All of them are 0 where nothing went wrong, except `asked`."""

    asked: int
    """Trials of the budget."""

    lost: int
    """Trials asked that are not over, or that the tracking server knows no run of."""

    doubled: int
    """MLflow runs beyond one for each trial."""

    doubled_points: int
    """(run, metric, step) beyond one row each."""

    orphaned: int
    """Runs that say RUNNING though nothing runs."""

    other_metrics: int
    """(trial, epoch) recorded with other numbers than an undisturbed training of the same configuration gives."""

    other_decisions: int
    """Proposals and decisions that a scheduler (and searcher) which had seen everything would have made otherwise."""

    @property
    def faults(self) -> int:
        return sum(value for name, value in asdict(self).items() if name != "asked")


@dataclass(frozen=True)
class Runs:
    """The runs of trials in an MLflow database."""

    by_trial: dict[str, list[str]]
    """The value of the tag that names a trial -> its runs."""

    status: dict[str, str]
    doubled_points: int
    metrics: dict[str, dict[int, float]]
    """Run -> step -> the metric asked for."""


def read_runs(database: Path, tag: str, metric: str, *, belonging_to: tuple[str, str] | None = None) -> Runs:
    """Everything that is not deleted.

    Args:
        tag: names a run's trial.
        belonging_to: a tag and its value that every run of the sweep has.
    """
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=20) as db:
        runs = dict(db.execute("select run_uuid, status from runs where lifecycle_stage = 'active'").fetchall())
        if belonging_to:
            query = "select run_uuid from tags where key = ? and value = ?"
            of_the_sweep = {row[0] for row in db.execute(query, belonging_to)}
            runs = {run: status for run, status in runs.items() if run in of_the_sweep}
        by_trial: dict[str, list[str]] = {}
        for run, trial in db.execute("select run_uuid, value from tags where key = ?", (tag,)):
            if run in runs:
                by_trial.setdefault(trial, []).append(run)
        points = Counter(
            (run, key, step) for run, key, step in db.execute("select run_uuid, key, step from metrics") if run in runs
        )
        metrics: dict[str, dict[int, float]] = {run: {} for run in runs}
        query = "select run_uuid, step, value from metrics where key = ? order by timestamp"
        for run, step, value in db.execute(query, (metric,)):
            if run in runs:
                metrics[run][step] = value
    return Runs(by_trial, runs, sum(points.values()) - len(points), metrics)


def circumstances() -> dict[str, str]:
    """Machine, versions, date, commit."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    cpu = next((line.partition(":")[2].strip() for line in lines if "model name" in line), platform.processor())
    git = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "pytorch-lightning", "ray", "mlflow"))
    return {
        "machine": f"{cpu}, {os.cpu_count()} cores",
        "versions": f"Python {platform.python_version()}, {packages}",
        "date": str(datetime.date.today()),
        "commit": git.stdout.strip() or "unknown",
    }


def save(file: Path, what: Mapping[str, Any], sweeps: Iterable[Mapping[str, Any]]) -> None:
    """Write whole or not at all, a sweep a line, so that one more is one more line in a diff."""
    head = json.dumps(dict(what), indent=1)[:-2]
    body = ",\n  ".join(json.dumps(dict(sweep)) for sweep in sweeps)
    temporary = file.with_suffix(".new")
    temporary.write_text(f'{head},\n "sweeps": [\n  {body}\n ]\n}}\n')
    temporary.replace(file)


def load(file: Path) -> list[dict[str, Any]]:
    """The sweeps of a file that `save` wrote; none where there is no file."""
    return list(json.loads(file.read_text())["sweeps"]) if file.is_file() else []


def total(sweeps: Iterable[Mapping[str, Any]]) -> Counts:
    """The counts of all sweeps together."""
    summed: Counter[str] = Counter()
    for sweep in sweeps:
        summed.update(sweep["counts"])
    return Counts(**{name: summed[name] for name in Counts.__dataclass_fields__})
