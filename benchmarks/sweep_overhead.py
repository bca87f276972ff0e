"""What a sweep costs beside its training: the same trials through gatesweep and through plain Ray Tune with MLflow.

    python benchmarks/sweep_overhead.py [--rounds 3] [--setting real|trivial|both] [--markdown FILE]

Both sides train the same list of configurations (what gatesweep's random search proposes), with the same task,
Lightning module, data, epochs and concurrency, each with an SQLite store of its own that it has to make, each a whole
process from its start to its end. Neither stops a trial early. The last epoch's metric of every trial must be the same
number on every side: it was the same training.

    gatesweep      `gatesweep sweep`. It proves a real batch first, keeps a log and committed checkpoints on disk, and
                   at the end scores the best trial on the test split, copies the best checkpoints to their runs and
                   writes the report. None of that is switched off.
    plain          `plain_sweep.py`: no test score, no report; Tune's default, a new process for every trial
    plain, reuse   the same with `reuse_actors=True`

The contenders take turns (A B C A B C ...), so that what else the machine does hits all alike. The ratio is taken
within a round. CPU time is the sum over every process that carries the round's mark in its environment: driver, Ray's
own, the workers. They are looked at five times a second, so that a process is short of its last 0.2 s at most.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
import yaml

from gatesweep.storage import place
from gatesweep.sweep.search import searcher
from gatesweep.sweep.spec import SweepSpec, load_spec
from gatesweep.track.log import read

ROOT = Path(__file__).resolve().parents[1]
MARK = "GATESWEEP_OVERHEAD_ROUND"
OURS, PLAIN, REUSE = "gatesweep", "plain", "plain, reuse"
PACKAGES = ("torch", "pytorch-lightning", "ray", "mlflow")

SETTINGS: dict[str, dict[str, Any]] = {
    "real": {
        "name": "overhead-real",
        "experiment": str(ROOT / "configs/experiments/traffic.yaml"),
        "objective": {"metric": "val/mae"},
        "space": {
            "model.cell": {"choice": ["vanilla", "peephole", "coupled"]},
            "model.hidden_size": {"choice": [32, 64]},
            "model.dropout": {"uniform": [0.0, 0.5]},
            "optimizer.lr": {"log_uniform": [1e-4, 1e-2]},
        },
        "search": {"name": "random", "seed": 1},
        "scheduler": {"name": "none"},
        "budget": {"trials": 12, "concurrent": 2},
    },
    "trivial": {
        "name": "overhead-trivial",
        "experiment": {"task": "toy_task:ToyTask", "data": {"pause_s": 0.1}, "trainer": {"max_epochs": 10}},
        "objective": {"metric": "val/mae"},
        "space": {
            "model.hidden_size": {"int_uniform": [8, 128]},
            "model.dropout": {"uniform": [0.0, 0.5]},
            "optimizer.lr": {"log_uniform": [1e-4, 1e-1]},
        },
        "search": {"name": "random", "seed": 1},
        "scheduler": {"name": "none"},
        "budget": {"trials": 24, "concurrent": 2},
    },
}
"""Real: three epochs of the traffic experiment, 2 to 6 s a trial. Trivial: one second a trial, most of it asleep."""

OVERRIDES: dict[str, list[str]] = {"real": ["experiment.trainer.max_epochs=3"], "trivial": []}


@dataclass
class Cost:
    """One process tree from its start to its end."""

    wall_s: float
    cpu_s: float
    last: dict[str, float] = field(repr=False)
    """Trial number -> the objective after its last epoch."""


class CpuMeter:
    """CPU seconds of every process whose environment carries `mark`, dead ones included."""

    def __init__(self, mark: str) -> None:
        self.mark, self.seen_s, self.ours = f"{MARK}={mark}".encode(), {}, {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> CpuMeter:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._look()
        self._over.set()
        self._thread.join()

    @property
    def cpu_s(self) -> float:
        return sum(self.seen_s.values())

    def _run(self) -> None:
        while not self._over.wait(0.2):
            self._look()

    def _look(self) -> None:
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                key = (process.pid, process.create_time())
                if not self.ours.get(key):
                    # a fork carries its parent's environment; an exec has its own at once
                    self.ours[key] = self.mark in Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0")
                if self.ours[key]:
                    times = process.cpu_times()
                    self.seen_s[key] = times.user + times.system


def measure(command: list[str], folder: Path, last: Callable[[], dict[str, float]]) -> Cost:
    """Run one contender in a fresh `folder` and wait for its end."""
    mark = f"{os.getpid()}-{time.monotonic_ns()}"
    inherited = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    environment = {
        **inherited,
        MARK: mark,
        "GATESWEEP_HOME": str(folder),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT / "tests/support"), os.environ.get("PYTHONPATH")])),
        "RAY_USAGE_STATS_ENABLED": "0",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    with CpuMeter(mark) as meter, (folder / "output.txt").open("w") as output:
        started = time.perf_counter()
        subprocess.run(command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT, check=True)
        wall_s = time.perf_counter() - started
    return Cost(wall_s, meter.cpu_s, last())


def contender(name: str, spec_file: Path, plan: Path, folder: Path) -> Cost:
    """One contender's whole sweep; `folder` keeps its output if it fails."""
    folder.mkdir(parents=True)
    try:
        if name == OURS:
            command = [str(Path(sys.executable).with_name("gatesweep")), "sweep", str(spec_file), "--id", "ours"]
            cost = measure(command, folder, lambda: _last_of_log(folder / "sweeps/ours"))
        else:
            script = [sys.executable, str(ROOT / "benchmarks/plain_sweep.py"), str(plan), str(folder)]
            command = script + (["--reuse-actors"] if name == REUSE else [])
            cost = measure(command, folder, lambda: json.loads((folder / "last.json").read_text()))
    except subprocess.CalledProcessError as error:
        output = (folder / "output.txt").read_text()[-3000:]
        raise SystemExit(f"{name} failed ({error.returncode}):\n{output}") from None
    shutil.rmtree(folder)
    return cost


def _last_of_log(sweep: Path) -> dict[str, float]:
    records = read(place(sweep))
    return {
        str(int(r["trial"][1:])): r["metrics"]["val/mae"] for r in records if r["event"] == "result" and r["final"]
    }


def plan_of(spec: SweepSpec) -> dict[str, Any]:
    """The proposals of gatesweep's search and what they mean, for the plain script."""
    proposals = [searcher(spec).propose(number) for number in range(spec.budget.trials)]
    params = [proposal[0] for proposal in proposals if proposal]
    return {
        "name": spec.name,
        "metric": spec.objective.metric,
        "concurrent": spec.budget.concurrent,
        "params": [{**each, "number": number} for number, each in enumerate(params)],
        "experiments": [spec.trial_config(each, number).as_dict() for number, each in enumerate(params)],
    }


def compare(setting: str, rounds: int, contenders: list[str]) -> dict[str, list[Cost]]:
    """Every contender, `rounds` times, taking turns.

    Raises:
        SystemExit: a contender failed, or did another training than the others.
    """
    costs: dict[str, list[Cost]] = {name: [] for name in contenders}
    with tempfile.TemporaryDirectory(prefix="overhead-") as name:
        folder = Path(name)
        (folder / "sweep.yaml").write_text(yaml.safe_dump(SETTINGS[setting], sort_keys=False))
        spec = load_spec(folder / "sweep.yaml", OVERRIDES[setting])
        (folder / "sweep.yaml").write_text(yaml.safe_dump(spec.as_dict(), sort_keys=False))
        (folder / "plan.json").write_text(json.dumps(plan_of(spec)))
        for round_ in range(rounds):
            for each in contenders:
                before = os.getloadavg()[0]
                cost = contender(each, folder / "sweep.yaml", folder / "plan.json", folder / f"{round_}-{each[-5:]}")
                costs[each].append(cost)
                print(f"{setting} {round_ + 1}/{rounds} {each:13} wall {cost.wall_s:6.1f} s  cpu {cost.cpu_s:6.1f} s"
                      f"  load before {before:.1f}", file=sys.stderr, flush=True)  # fmt: skip
            _same_training({each: costs[each][-1] for each in contenders})
    return costs


def _same_training(costs: dict[str, Cost]) -> None:
    reference = next(iter(costs.values())).last
    for name, cost in costs.items():
        if cost.last != reference:
            raise SystemExit(f"{name} did another training:\n{cost.last}\n{reference}")


def table(costs: dict[str, list[Cost]]) -> list[str]:
    """A row a contender: medians, and gatesweep's share of it, pair by pair."""
    lines = ["| | wall, s | CPU, s | gatesweep's wall / this | gatesweep's CPU / this |", "|---|---:|---:|---:|---:|"]
    for name, found in costs.items():
        wall_s, cpu_s = (statistics.median(getattr(cost, part) for cost in found) for part in ("wall_s", "cpu_s"))
        lines.append(
            f"| {name} | {wall_s:.1f} | {cpu_s:.1f} "
            f"| {_ratio(costs, name, 'wall_s')} | {_ratio(costs, name, 'cpu_s')} |"
        )
    return lines


def _ratio(costs: dict[str, list[Cost]], name: str, part: str) -> str:
    if name == OURS or OURS not in costs:
        return ""
    ratios = [getattr(a, part) / getattr(b, part) for a, b in zip(costs[OURS], costs[name], strict=True)]
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def circumstances() -> str:
    """Machine, versions, date, commit."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.processor(),
    )
    git = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return (
        f"{model}, {os.cpu_count()} cores; Python {platform.python_version()}, {packages}; "
        f"{datetime.date.today()}, commit {git.stdout.strip() or 'unknown'}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--setting", choices=[*SETTINGS, "both"], default="both")
    parser.add_argument("--contenders", nargs="+", choices=[OURS, PLAIN, REUSE], default=[OURS, PLAIN, REUSE])
    parser.add_argument("--markdown", type=Path, help="write the tables there too")
    given = parser.parse_args()
    lines = [circumstances(), ""]
    for setting in SETTINGS if given.setting == "both" else [given.setting]:
        costs = compare(setting, given.rounds, given.contenders)
        spec = SETTINGS[setting]["budget"]
        lines += [f"{setting}: {spec['trials']} trials, {spec['concurrent']} at a time, {given.rounds} rounds", ""]
        lines += [*table(costs), ""]
    print("\n".join(lines))
    if given.markdown:
        given.markdown.write_text("\n".join(lines))


if __name__ == "__main__":
    main()
