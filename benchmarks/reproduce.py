"""Whether a sweep and a run of every task come again bit for bit on the same machine, killed in the middle too.

    python benchmarks/reproduce.py [--resume] [--only NAME] [--home FOLDER]

The committed traffic sweep (12 trials) and a short run of every task, on embedded data: trained, then trained again by
`gatesweep reproduce` from a clone of the commit; and trained once more, killed (SIGKILL) in the second epoch, and
resumed. The tree must be clean, or its difference travels along. Rows go into results/reproduce.json as they come;
docs/reproducibility.md has the table.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
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


KILLED = ", killed and resumed"


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
            if name == SWEEP:
                if not (asked.resume and rows.has(name)):
                    rows.add(sweep(home))
                    print(rows.rows[-1], flush=True)
            elif not (asked.resume and rows.has(name) and rows.has(name + KILLED)):
                whole = trained(name, home)
                for each in (again(name, whole, home), killed(name, whole, home)):
                    rows.add(each)
                    print(each, flush=True)


def words_of(name: str) -> list[str]:
    """The command that trains a short run of a task."""
    file, changes = RUNS[name]
    return ["run", f"configs/experiments/{file}", *(word for change in (*changes, ONE_THREAD)
                                                    for word in ("--set", change))]  # fmt: skip


def trained(name: str, home: Path) -> str:
    """The id of an uninterrupted run."""
    code, made = gatesweep(*words_of(name), home=home)
    if code:
        raise SystemExit(f"{name}: run ended with {code}")
    return str(made["run_id"])


def again(name: str, whole: str, home: Path) -> dict[str, Any]:
    """That run, reproduced."""
    file, changes = RUNS[name]
    return judged(name, whole, home, experiment=file, overrides=changes)


def killed(name: str, whole: str, home: Path) -> dict[str, Any]:
    """The same training, killed once its first epoch is on disk and half of another has passed, and resumed."""
    from gatesweep.reproduce.reproduce import read
    from gatesweep.reproduce.verdict import WEIGHTS, comparable, judge
    from gatesweep.track.store import open_store

    file, changes = RUNS[name]
    run_id, epochs = kill_in_the_second_epoch(words_of(name), home)
    started = time.perf_counter()
    code, _ = gatesweep("resume", run_id, home=home)
    if code:
        raise SystemExit(f"{name}: resume ended with {code}")
    seconds = time.perf_counter() - started
    one, other = (read(each, open_store(home)) for each in (whole, run_id))
    weights = [each.run.tags[f"gatesweep.{WEIGHTS}"] for each in (one, other)]
    found = judge(comparable(one.values), comparable(other.values), weights=weights)
    return row(name + KILLED, metrics={}, verdict=found.verdict, compared=found.compared, exit_code=code,
               wall_s=round(seconds, 1), epochs_before=epochs, first_difference=found.first.as_dict()
               if found.first else None, experiment=file, overrides=changes)  # fmt: skip


def kill_in_the_second_epoch(words: list[str], home: Path) -> tuple[str, int]:
    """Start a training and kill it; its run's id, and how many epochs it had on disk."""
    known = set(home.glob("runs/*"))
    surroundings = {**os.environ, "GATESWEEP_HOME": str(home)}
    process = subprocess.Popen([*CLI, *words], cwd=ROOT, env=surroundings, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, start_new_session=True)  # fmt: skip
    try:
        while process.poll() is None:
            for log in home.glob("runs/*/epochs.jsonl"):
                if log.parent not in known and log.stat().st_size:
                    entry = json.loads(log.read_text().splitlines()[0])
                    time.sleep(entry["metrics"]["time/epoch_s"] / 2)
                    return log.parent.name, len(log.read_text().splitlines())
            time.sleep(0.02)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    raise SystemExit(f"{words[1]} ended before it could be killed")


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
