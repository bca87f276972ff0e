"""What it costs a sweep that its tracking server is gone from the second trial to the end.

    python benchmarks/tracker_away.py [--rounds 5] [--json FILE]

The same sweep (the toy task of the tests, six trials of eight epochs, two at a time) with the server there, and with
the server killed as soon as the log starts its second trial. The two take turns, in a random order each round; a round
counts from the start of the process to its end. Afterwards the server is started again, `gatesweep doctor --fix` is
called, and every value of the log must be in the store once.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import yaml
from chaos_sweep import SPEC, environment
from rich.console import Console
from rich.table import Table

from gatesweep.storage import place
from gatesweep.track.log import read
from gatesweep.track.store import open_store

COMMAND = [sys.executable, "-c", "from gatesweep.cli import main; main()"]
TRIALS, EPOCHS, PAUSE_S = 6, 8, 1.0


class Server:
    """An MLflow server on loopback with a store of its own."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.uri, self.port = folder, f"http://127.0.0.1:{port}", port
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.folder.mkdir(exist_ok=True)
        words = ["--host", "127.0.0.1", "--port", str(self.port), "--workers", "1", "--backend-store-uri",
                 f"sqlite:///{self.folder / 'mlflow.db'}", "--artifacts-destination", str(self.folder / "artifacts")]
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "mlflow", "server", *words], stdout=log, stderr=log, start_new_session=True,
                env=environment(MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false"))  # fmt: skip
        ends = time.monotonic() + 180
        while time.monotonic() < ends:
            try:
                with urllib.request.urlopen(f"{self.uri}/health", timeout=1):
                    return
            except OSError:
                time.sleep(0.3)
        raise TimeoutError((self.folder / "server.log").read_text()[-2000:])

    def kill(self) -> None:
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, 9)
            self.process.wait()


def round_(folder: Path, server: Server, name: str, *, away: bool) -> dict[str, Any]:
    """One sweep; its wall time, and what is missing or double in the store once the server is back."""
    home = folder / name
    given = environment(GATESWEEP_HOME=str(home), MLFLOW_TRACKING_URI=server.uri)
    log = place(home / "sweeps" / name)
    started = time.perf_counter()
    sweep = subprocess.Popen([*COMMAND, "sweep", str(folder / "sweep.yaml"), "--id", name, "--json"], env=given,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder)  # fmt: skip
    if away:
        while sweep.poll() is None and not _second_trial_started(log):
            time.sleep(0.05)
        server.kill()
    _, err = sweep.communicate(timeout=600)
    wall_s = time.perf_counter() - started
    if sweep.returncode:
        raise RuntimeError(err[-3000:])
    if away:
        server.start()
    fixed = subprocess.run([*COMMAND, "doctor", "--fix"], env=given, capture_output=True, text=True, cwd=folder)
    return {"away": away, "wall_s": round(wall_s, 2), **_compared(home, server, name), "doctor": fixed.returncode}


def _second_trial_started(log: Any) -> bool:
    return log.exists("log.jsonl") and any(r["event"] == "start" and r["trial"] == "t0001" for r in read(log))


def _compared(home: Path, server: Server, name: str) -> dict[str, int]:
    """The log's epochs against the store's rows, and runs that are not closed."""
    store = open_store(home, server.uri)
    runs = store.runs_of(name)
    values = [(r["trial"], r["epoch"], key) for r in read(place(home / "sweeps" / name)) if r["event"] == "result"
              for key in r["metrics"]]  # fmt: skip
    rows = [(run.tags["gatesweep.trial_id"].rpartition("/")[2], row.step, key) for run in runs
            if "gatesweep.trial_id" in run.tags for key in run.metrics if not key.startswith("test/")
            for row in store.history(run.run_id, key)]  # fmt: skip
    return {"values": len(values), "missing": len(set(values) - set(rows)), "double": len(rows) - len(set(rows)),
            "running": sum(run.status == "RUNNING" for run in runs)}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--port", type=int, default=5055)
    given = parser.parse_args()
    spec = {**SPEC, "budget": {"trials": TRIALS, "concurrent": 2}, "scheduler": {"name": "none"}}
    spec["experiment"] = {**SPEC["experiment"], "data": {"examples": 64, "pause_s": PAUSE_S},
                          "trainer": {**SPEC["experiment"]["trainer"], "max_epochs": EPOCHS}}  # fmt: skip
    rng, rows = random.Random(0), []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "sweep.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))
        server = Server(folder / "server", given.port)
        server.start()
        try:
            for number in range(given.rounds):
                for away in rng.sample([False, True], 2):
                    rows.append(round_(folder, server, f"{'away' if away else 'there'}-{number}", away=away))
                    print(json.dumps(rows[-1]), flush=True)
        finally:
            server.kill()
    _tell(rows, given.json)


def _tell(rows: list[dict[str, Any]], file: Path | None) -> None:
    there, away = ([row["wall_s"] for row in rows if row["away"] is kind] for kind in (False, True))
    ratio = statistics.median(away) / statistics.median(there)
    table = Table("server", "median wall s", "all", "missing", "double", "RUNNING")
    for name, kind, walls in (("there", False, there), ("away", True, away)):
        own = [row for row in rows if row["away"] is kind]
        table.add_row(name, f"{statistics.median(walls):.1f}", " ".join(f"{wall:.1f}" for wall in walls),
                      *(str(sum(row[key] for row in own)) for key in ("missing", "double", "running")))  # fmt: skip
    Console(width=120).print(table, f"away / there: {ratio:.3f}")
    if file:
        file.write_text(json.dumps({"rounds": rows, "ratio": round(ratio, 4)}, indent=1) + "\n")


if __name__ == "__main__":
    main()
