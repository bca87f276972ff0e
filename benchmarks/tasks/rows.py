"""Results of trainings, kept row by row: what was reached, on what, how long it took, how to get it again.

    rows = Rows(RESULTS / "language_modeling.json")
    if not rows.has("ptb small, Zaremba", seed=1):
        rows.add(train("ptb small, Zaremba", ROOT / "configs/experiments/ptb_zaremba_small.yaml", seed=1))

A row is on disk as soon as its training is over: `--resume` goes on after the last one. docs/results.md is made from
all of them by results_page.py.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import platform
import resource
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "tasks"
Row = dict[str, Any]


def bench_data(part: str) -> Path:
    """A standard set's folder below $GATESWEEP_BENCH_DATA."""
    folder = os.environ.get("GATESWEEP_BENCH_DATA")
    if not folder or not (Path(folder) / part).is_dir():
        raise SystemExit(f"set GATESWEEP_BENCH_DATA to a folder that holds {part}/ (docs/data.md says in which layout)")
    return Path(folder) / part


def machine() -> str:
    """Processor and cores."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").is_file() else []
    models = {line.partition(":")[2].strip() for line in lines if line.startswith("model name")}
    return f"{', '.join(sorted(models)) or platform.machine()}, {os.cpu_count()} cores"


def commit() -> str:
    """What is checked out, with a + where the work tree holds changes of the platform or the configurations."""

    def git(*arguments: str) -> str:
        return subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=True).stdout

    dirty = git("status", "--porcelain", "--", "platform", "configs").strip()
    return git("rev-parse", "--short", "HEAD").strip() + ("+" if dirty else "")


class Rows:
    """The finished rows of one task's file."""

    def __init__(self, file: Path, *, resume: bool = True) -> None:
        self.file = file
        self.rows: list[Row] = json.loads(file.read_text()) if resume and file.is_file() else []

    def has(self, name: str, seed: int | None = None) -> bool:
        """Whether such a row is there."""
        return any(row["name"] == name and (seed is None or row["seed"] == seed) for row in self.rows)

    def add(self, row: Row) -> None:
        """Take one in, in the place of an earlier one of the same name and seed, and write the file whole."""
        self.rows = [each for each in self.rows if (each["name"], each.get("seed")) != (row["name"], row.get("seed"))]
        self.rows.append(row)
        self.file.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.file.with_suffix(".tmp")
        temporary.write_text(json.dumps(self.rows, indent=1) + "\n")
        temporary.replace(self.file)


def train(
    name: str, experiment: Path, *, seed: int, overrides: Sequence[str] = (), about: str = "", home: str | None = None
) -> Row:
    """Train the experiment in a home folder of its own, and say what came out.

    Args:
        name: of the row: data, model and protocol.
        about: one line for the table.
        home: a home folder that stays, for runs that start from one another; none makes one for this run alone.
    """
    import gatesweep
    from gatesweep.runs.experiment import load_experiment

    config = load_experiment(experiment, [*overrides, f"seed={seed}"])
    anywhere = ["data.path=elsewhere" if each.startswith("data.path=") else each for each in overrides]
    digest = load_experiment(experiment, [*anywhere, f"seed={seed}"]).digest  # whatever the folder's name
    with contextlib.nullcontext(home) if home else tempfile.TemporaryDirectory() as folder:
        os.environ["GATESWEEP_HOME"] = str(folder)
        before, started = _cpu_s(), time.perf_counter()
        result = gatesweep.run(config)
        wall_s, cpu_s = time.perf_counter() - started, _cpu_s() - before
    return row(name, about=about, seed=seed, metrics=result.metrics, baseline=result.baseline, wall_s=wall_s,
               cpu_s=cpu_s, threads=config.trainer.threads, epochs=result.epochs,
               digest=digest,
               experiment=str(experiment.relative_to(ROOT)), overrides=[*overrides], run_id=result.run_id)  # fmt: skip


def row(name: str, *, metrics: Mapping[str, float], **more: Any) -> Row:
    """A row with the circumstances of this process."""
    return {"name": name, "metrics": dict(metrics), **more, "machine": machine(), "commit": commit(),
            "date": datetime.date.today().isoformat()}  # fmt: skip


def _cpu_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)
