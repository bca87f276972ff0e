"""Whether a sweep and a run of every task come again bit for bit on the same machine.

    python benchmarks/reproduce.py [--resume] [--only NAME] [--home FOLDER]

The committed traffic sweep (12 trials) and a short run of every task, on embedded data: trained, then trained again by
`gatesweep reproduce` from a clone of the commit. The tree must be clean, or its difference travels along. Rows go into
results/reproduce.json as they come; docs/reproducibility.md has the table.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks" / "tasks"))
from rows import Rows, row  # noqa: E402

FILE = ROOT / "benchmarks" / "results" / "reproduce.json"
CLI = [sys.executable, "-c", "from gatesweep.cli import main; main()"]
SWEEP = "traffic sweep, 12 trials"
ONE_THREAD = "trainer.threads=1"
RUNS = {
    "forecasting, traffic": ("traffic.yaml", ["trainer.max_epochs=3"]),
    "forecasting, stocks": ("stocks.yaml", ["trainer.max_epochs=3"]),
    "language modelling": ("language_modeling.yaml", ["data.fraction=0.02", "trainer.max_epochs=2"]),
    "sentiment": ("sentiment.yaml", ["data.fraction=0.05", "trainer.max_epochs=2"]),
    "translation": ("translation.yaml", ["data.fraction=0.1", "trainer.max_epochs=2"]),
    "speech, strings": ("speech_recognition.yaml", ["data.strings.train=120", "trainer.max_epochs=2"]),
    "speech, vowels": ("vowels.yaml", ["trainer.max_epochs=4"]),
    "music": ("music.yaml", ["trainer.max_epochs=3"]),
    "synthetic": ("synthetic.yaml", ["data.train=500", "trainer.max_epochs=3"]),
}  # fmt: skip


def gatesweep(*words: str, home: Path) -> tuple[int, dict[str, Any]]:
    """One command with `--json`: its exit code and answer."""
    done = subprocess.run([*CLI, *words, "--json"], cwd=ROOT, env={**os.environ, "GATESWEEP_HOME": str(home)},
                          stdout=subprocess.PIPE, text=True, check=False)  # fmt: skip
    return done.returncode, json.loads(done.stdout or "{}")


def main() -> None:
    """Train, train again, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resume", action="store_true", help="keep the rows that are there")
    parser.add_argument("--only", choices=[SWEEP, *RUNS])
    parser.add_argument("--home", type=Path, help="a home folder that stays, with its data")
    asked = parser.parse_args()
    rows = Rows(FILE, resume=asked.resume or asked.only is not None)
    with tempfile.TemporaryDirectory() as scratch:
        home = (asked.home or Path(scratch)).resolve()
        for name in [SWEEP, *RUNS] if asked.only is None else [asked.only]:
            if not (asked.resume and rows.has(name)):
                rows.add(sweep(home) if name == SWEEP else run(name, home))
                print(rows.rows[-1], flush=True)


def run(name: str, home: Path) -> dict[str, Any]:
    """One run and its rerun."""
    file, changes = RUNS[name]
    sets = [word for change in (*changes, ONE_THREAD) for word in ("--set", change)]
    code, made = gatesweep("run", f"configs/experiments/{file}", *sets, home=home)
    if code:
        raise SystemExit(f"{name}: run ended with {code}")
    return judged(name, made["run_id"], home, experiment=file, overrides=changes)


def sweep(home: Path) -> dict[str, Any]:
    """The whole sweep and its repetition."""
    code, made = gatesweep("sweep", "configs/sweeps/traffic.yaml", home=home)
    if code:
        raise SystemExit(f"the sweep ended with {code}")
    return judged(SWEEP, made["sweep_id"], home, experiment="traffic.yaml", outcomes=made["outcomes"])


def judged(name: str, what: str, home: Path, **more: Any) -> dict[str, Any]:
    """Train again and say what came out."""
    started = time.perf_counter()
    code, found = gatesweep("reproduce", what, home=home)
    if not found:
        raise SystemExit(f"{name}: reproduce ended with {code}")
    trials = [each["verdict"] for each in found.get("trials", {}).values()]
    return row(name, metrics={}, verdict=found["verdict"], compared=found["compared"], exit_code=code,
               wall_s=round(time.perf_counter() - started, 1), trials=len(trials), bitwise=trials.count("bitwise"),
               decisions=found.get("decisions"), first_difference=found.get("first_difference"), **more)  # fmt: skip


if __name__ == "__main__":
    main()
