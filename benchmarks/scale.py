"""Many trials that cost nothing: what the driver can take in, and how full the slots are.

    python benchmarks/scale.py [--trials 100 1000] [--rounds 2]     results a second, and the driver's CPU a result
    python benchmarks/scale.py --filling                             200 trials of a second on 2 slots

Trials train nothing (`scale_trials.py`): each reports four metrics five times. Nodes are logical CPUs, 16 of them.

    gatesweep   proposals, the log on disk with a sync a record, retention, a child run a trial in MLflow: everything
                but training, checkpoints and the report
    plain       ray.tune.Tuner with Ray's MLflowLoggerCallback, warm processes too (reuse_actors)

Both write to an SQLite store of their own and begin when Ray is up; the contenders take turns. Results a second: from
the first to the last that the driver has, with the time until MLflow has them all. CPU is the driver process's own.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
OUT = HERE / "results" / "scale.json"
EPOCHS, SLOTS = 5, 16
SPEC: dict[str, Any] = {
    "name": "scale",
    "experiment": {"task": "toy_task:ToyTask", "data": {}, "trainer": {"max_epochs": EPOCHS}},
    "objective": {"metric": "val/mae"},
    "space": {"model.hidden_size": {"int_uniform": [8, 128]}, "optimizer.lr": {"log_uniform": [1e-4, 1e-1]},
              "model.dropout": {"uniform": [0.0, 0.5]}},
    "search": {"name": "random", "seed": 1},
    "scheduler": {"name": "none"},
}  # fmt: skip


def ours(folder: Path, trials: int, slots: int, epochs: int, pause_s: float) -> dict[str, float]:
    """One sweep of gatesweep's."""
    from dataclasses import replace

    import scale_trials

    from gatesweep.storage import place
    from gatesweep.sweep import cluster, executor, session
    from gatesweep.sweep.spec import spec_from
    from gatesweep.sweep.start import start
    from gatesweep.track.log import read
    from gatesweep.track.store import open_store

    executor.train_trial = scale_trials.ours
    real = session.Surroundings
    session.Surroundings = lambda *given: replace(  # the trials' own two numbers travel as a node's variables do
        real(*given), environment={"epochs": str(epochs), "pause_s": str(pause_s)})
    spec = spec_from({**SPEC, "budget": {"trials": trials, "concurrent": slots}}, place="scale")
    with cluster.local(slots, slots, warm=True):
        opened = start(spec, "scale-20260101-aaaaaa", lambda: open_store(folder), session.Hooks(), folder)()
        cpu_s = time.process_time()
        opened.execute()
        drained_s = time.time()
        unsent = opened.close(deadline_s=600.0)
        cpu_s, over_s = time.process_time() - cpu_s, time.time()
    records = read(place(folder / "sweeps" / "scale-20260101-aaaaaa"))
    told_s = [record["ts"] / 1000 for record in records if record["event"] == "result"]
    first_s = min(record["ts"] for record in records if record["event"] in ("new", "start")) / 1000
    if unsent or len(told_s) != trials * epochs:
        raise SystemExit(f"{len(told_s)} results, {unsent} unsent")
    return _figures(told_s, first_s, over_s - drained_s, cpu_s)


def plain(folder: Path, trials: int, slots: int, epochs: int, pause_s: float) -> dict[str, float]:
    """The same with Tune alone."""
    import ray
    import scale_trials
    from ray import tune
    from ray.air.integrations.mlflow import MLflowLoggerCallback

    told_s: list[float] = []
    first_s: list[float] = []

    class Times(tune.Callback):
        def on_trial_start(self, *given: Any, **more: Any) -> None:
            first_s.append(time.time())

        def on_trial_result(self, *given: Any, **more: Any) -> None:
            told_s.append(time.time())

    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(slots)
    ray.init(address="local", num_cpus=slots, include_dashboard=False, log_to_driver=False)
    space = {"number": tune.grid_search(list(range(trials))), "epochs": epochs, "pause_s": pause_s,
             "hidden_size": tune.randint(8, 128), "lr": tune.loguniform(1e-4, 1e-1),
             "dropout": tune.uniform(0.0, 0.5)}  # fmt: skip
    tuner = tune.Tuner(
        tune.with_resources(scale_trials.plain, {"cpu": 1}), param_space=space,
        tune_config=tune.TuneConfig(reuse_actors=True, max_concurrent_trials=slots),
        run_config=tune.RunConfig(name="plain", storage_path=str(folder / "tune"), verbose=0, callbacks=[
            MLflowLoggerCallback(tracking_uri=f"sqlite:///{folder}/mlflow.db", experiment_name="scale"), Times()]),
    )  # fmt: skip
    cpu_s = time.process_time()
    tuner.fit()
    cpu_s = time.process_time() - cpu_s
    ray.shutdown()
    if len(told_s) != trials * epochs:
        raise SystemExit(f"{len(told_s)} results")
    return _figures(told_s, min(first_s), 0.0, cpu_s)


def _figures(told_s: list[float], first_s: float, drain_s: float, cpu_s: float) -> dict[str, float]:
    rate = len(told_s) / (max(told_s) - min(told_s) + drain_s)
    return {"results": len(told_s), "results_per_s": rate, "wall_s": max(told_s) - first_s, "drain_s": drain_s,
            "driver_cpu_ms": 1000 * cpu_s / len(told_s)}  # fmt: skip


def side(name: str, trials: int, slots: int, epochs: int, pause_s: float) -> dict[str, float]:
    """One contender in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="scale-") as folder:
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        paths = [str(HERE), str(ROOT / "tests" / "support"), os.environ.get("PYTHONPATH", "")]
        environment |= {"GATESWEEP_HOME": folder, "PYTHONPATH": os.pathsep.join(filter(None, paths)),
                        "RAY_USAGE_STATS_ENABLED": "0", "MLFLOW_DISABLE_TELEMETRY": "true", "OMP_NUM_THREADS": "1",
                        "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1"}  # fmt: skip
        words = [sys.executable, __file__, "--side", name, "--folder", folder, "--trials", str(trials), "--slots",
                 str(slots), "--epochs", str(epochs), "--pause", str(pause_s)]  # fmt: skip
        done = subprocess.run(words, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{name} failed ({done.returncode}):\n{done.stderr[-3000:]}")
        found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    print(f"{name:10} {trials} trials: {found}", file=sys.stderr, flush=True)
    return found


def taking_in(counts: list[int], rounds: int) -> dict[str, Any]:
    """Both, for each number of trials, taking turns."""
    found: dict[str, Any] = {}
    for trials in counts:
        rows: dict[str, list[dict[str, float]]] = {"gatesweep": [], "plain": []}
        for _ in range(rounds):
            for name, each in rows.items():
                each.append(side(name, trials, SLOTS, EPOCHS, 0.0))
        found[str(trials)] = rows
    return found


def filling(trials: int = 200, slots: int = 2, epochs: int = 10, pause_s: float = 0.1) -> dict[str, Any]:
    """How near the sweep comes to the time that its trials sleep."""
    found = side("gatesweep", trials, slots, epochs, pause_s)
    floor_s = trials * epochs * pause_s / slots
    return {**found, "trials": trials, "slots": slots, "floor_s": floor_s, "of_the_floor": found["wall_s"] / floor_s}


def table(found: dict[str, Any]) -> str:
    """The rows of docs/performance.md."""
    lines = ["| trials | | results a second | driver's CPU a result, ms | gatesweep / plain: results | CPU |",
             "|---|---|---|---|---|---|"]  # fmt: skip
    for trials, rows in found.items():
        middle = {name: {key: statistics.median(row[key] for row in each) for key in ("results_per_s", "driver_cpu_ms")}
                  for name, each in rows.items()}  # fmt: skip
        for name, each in middle.items():
            shares = [f"{middle['gatesweep'][key] / middle['plain'][key]:.2f}" for key in each]
            last = " | ".join(shares) if name == "gatesweep" else " | "
            lines.append(f"| {trials} | {name} | {each['results_per_s']:.1f} | {each['driver_cpu_ms']:.1f} | {last} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--filling", action="store_true")
    for name, kind in (("side", str), ("folder", Path), ("slots", int), ("epochs", int), ("pause", float)):
        parser.add_argument(f"--{name}", type=kind, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.side:
        run = ours if given.side == "gatesweep" else plain
        print(json.dumps(run(given.folder, given.trials[0], given.slots, given.epochs, given.pause)))
        return
    known = json.loads(OUT.read_text()) if OUT.is_file() else {}
    known |= {"filling": filling()} if given.filling else {"taking_in": taking_in(given.trials, given.rounds)}
    OUT.write_text(json.dumps(known, indent=1) + "\n")
    print(known["filling"] if given.filling else table(known["taking_in"]))


if __name__ == "__main__":
    main()
