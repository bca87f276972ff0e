"""The other side of `chaos.py`: the same toy sweep on plain Ray Tune with its MLflow callback, killed and restored.

    python benchmarks/chaos_peer.py [--kills 10] [--seed 1] [--json FILE] [--resume]

Written as the documentation of Ray Tune and MLflow shows it: a function trainable that reports each epoch with a
checkpoint and starts from the one it is given, `MLflowLoggerCallback`, ASHA on the epoch, failures tried again, and
`Tuner.restore` after the driver's death where there is something to restore. Every sweep is disturbed once, at a random
moment: the driver's process group or one worker process gets a SIGKILL.

The scheduler is Ray's own; a subclass writes down what it decided, so that a scheduler that has seen everything can be
asked again. A trial is what `trial_id` names for Tune, a run belongs to the trial that its tag `trial_name` names.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil
from chaos_counts import Counts, circumstances, load, read_runs, save, total
from chaos_sweep import EPOCHS, METRIC, SPEC, TRIALS, environment
from ray import tune
from ray.tune.schedulers import ASHAScheduler

from gatesweep.runs.experiment import experiment_from
from gatesweep.sweep.search import searcher
from gatesweep.sweep.spec import spec_from
from gatesweep.train.fit import quiet

VICTIMS = ("driver", "worker")
Report = Callable[[dict[str, float], Any], None]


def train(experiment: dict[str, Any], checkpoint: Path | None, report: Report) -> None:
    """Lightning alone: from the checkpoint to the last epoch."""
    import pytorch_lightning as pl

    from gatesweep.runs.build import prepare
    from gatesweep.train.optim import factory

    class EachEpoch(pl.Callback):
        def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
            metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
            report({**metrics, "epoch": trainer.current_epoch + 1}, trainer)

    task, recipe = prepare(experiment_from(experiment, place="peer"))
    task.module.optimizer_factory = factory(recipe.optimizer, recipe.schedule, recipe.trainer)
    trainer = pl.Trainer(
        max_epochs=recipe.trainer.max_epochs, accelerator="cpu", devices=1, deterministic=True, logger=False,
        gradient_clip_val=recipe.optimizer.clip_norm, callbacks=[EachEpoch()], enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0)  # fmt: skip
    trainer.fit(task.module, datamodule=task.data_module, ckpt_path=str(checkpoint) if checkpoint else None)


def trainable(config: dict[str, Any], experiments: list[dict[str, Any]]) -> None:
    """What Tune runs."""

    def report(metrics: dict[str, float], trainer: Any) -> None:
        with tempfile.TemporaryDirectory() as folder:
            trainer.save_checkpoint(Path(folder) / "state.ckpt")
            tune.report(metrics, checkpoint=tune.Checkpoint.from_directory(folder))

    given = tune.get_checkpoint()
    with given.as_directory() if given else contextlib.nullcontext() as folder:
        train(experiments[config["number"]], Path(folder) / "state.ckpt" if folder else None, report)


class WrittenAsha(ASHAScheduler):
    """Ray's, with a line in a file for each decision."""

    def __init__(self, file: str | None) -> None:
        asha = SPEC["scheduler"]
        super().__init__(time_attr="epoch", metric=METRIC, mode="min", max_t=EPOCHS,
                         grace_period=asha["grace_epochs"], reduction_factor=asha["reduction"])  # fmt: skip
        self.file = file

    def on_trial_result(self, controller: Any, trial: Any, result: dict[str, Any]) -> str:
        decision = super().on_trial_result(controller, trial, result)
        if self.file:
            line = {"trial": trial.trial_id, "number": trial.config["number"], "epoch": result["epoch"],
                    "value": result[METRIC], "decision": decision}  # fmt: skip
            with open(self.file, "a") as file:
                file.write(json.dumps(line) + "\n")
        return str(decision)


def drive(folder: Path) -> None:
    """One life of the driver: start the sweep, or restore it where that is possible."""
    import ray
    from ray.air.integrations.mlflow import MLflowLoggerCallback
    from ray.tune.search.basic_variant import BasicVariantGenerator

    os.environ["RAY_CHDIR_TO_TRIAL_DIR"] = "0"
    experiments = json.loads((folder / "experiments.json").read_text())
    ray.init(address="local", num_cpus=2, include_dashboard=False)
    function = tune.with_resources(tune.with_parameters(trainable, experiments=experiments), {"cpu": 1})
    place = str(folder / "tune" / "peer")
    if tune.Tuner.can_restore(place):
        tuner = tune.Tuner.restore(place, trainable=function, resume_unfinished=True, resume_errored=True)
    else:
        points = [{"number": number} for number in range(TRIALS)]
        callback = MLflowLoggerCallback(tracking_uri=f"sqlite:///{folder}/mlflow.db", experiment_name="chaos")
        tuner = tune.Tuner(
            function,
            param_space={"number": tune.choice([None])},
            tune_config=tune.TuneConfig(
                num_samples=TRIALS,
                scheduler=WrittenAsha(str(folder / "decisions.jsonl")),
                reuse_actors=True,
                search_alg=BasicVariantGenerator(points_to_evaluate=points),
            ),
            run_config=tune.RunConfig(
                name="peer",
                storage_path=str(folder / "tune"),
                callbacks=[callback],
                checkpoint_config=tune.CheckpointConfig(num_to_keep=2),
                failure_config=tune.FailureConfig(max_failures=3),
            ),
        )
    results = tuner.fit()
    over = [{"number": r.config["number"], "failed": r.error is not None} for r in results if r.metrics]
    (folder / "over.json").write_text(json.dumps(over))


def decisions(folder: Path) -> list[dict[str, Any]]:
    file = folder / "decisions.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.is_file() else []


def disturbed(folder: Path, victim: str, rng: random.Random) -> dict[str, Any]:
    """A whole sweep with one kill, restored until it ends."""
    after = rng.randint(1, TRIALS * 3)
    driver = _started(folder)
    while driver.poll() is None and len(decisions(folder)) < after:
        time.sleep(0.05)
    time.sleep(rng.random())
    if victim == "worker":
        _kill_worker(driver, rng)
    else:
        os.killpg(driver.pid, signal.SIGKILL)
        driver.wait()
    lives = 1
    while driver.wait() != 0 and lives < 5:
        driver, lives = _started(folder), lives + 1
    return {"victim": victim, "after_results": after, "drivers": lives}


def _started(folder: Path) -> subprocess.Popen[bytes]:
    with (folder / "output.txt").open("ab") as output:
        command = [sys.executable, __file__, "--drive", str(folder)]
        return subprocess.Popen(command, env=environment(), stdout=output, stderr=output, start_new_session=True)


def _kill_worker(driver: subprocess.Popen[bytes], rng: random.Random) -> None:
    """One process that trains; where none does at the moment, the next one."""
    while driver.poll() is None:
        family = psutil.Process(driver.pid).children(recursive=True)
        training = [process for process in family if _name(process).startswith("ray::ImplicitFunc")]
        if training:
            rng.choice(training).kill()
            return
        time.sleep(0.05)


def _name(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        return "".join(process.cmdline())
    return ""


def count(folder: Path, experiments: list[dict[str, Any]]) -> Counts:
    """After the sweep's end."""
    runs = read_runs(folder / "mlflow.db", "trial_name", METRIC)
    over = json.loads((folder / "over.json").read_text()) if (folder / "over.json").is_file() else []
    finished = {each["number"] for each in over if not each["failed"]}
    undisturbed: dict[int, dict[int, float]] = {}
    for number, experiment in enumerate(experiments):
        undisturbed[number] = calm(experiment)
    seen = {(r["number"], r["epoch"], r["value"]) for r in decisions(folder)}
    return Counts(
        asked=TRIALS,
        lost=TRIALS - len(finished),
        doubled=len(runs.status) - TRIALS,
        doubled_points=runs.doubled_points,
        orphaned=sum(status == "RUNNING" for status in runs.status.values()),
        other_metrics=len({(number, epoch) for number, epoch, value in seen if undisturbed[number][epoch] != value}),
        other_decisions=_other_decisions(folder),
    )


def calm(experiment: dict[str, Any]) -> dict[int, float]:
    """Epoch -> metric of a training that nobody disturbs."""
    found: dict[int, float] = {}

    def report(metrics: dict[str, float], trainer: Any) -> None:
        found[int(metrics["epoch"])] = metrics[METRIC]

    with quiet():
        train({**experiment, "data": {**experiment["data"], "pause_s": 0.0}}, None, report)
    return found


class _Stand:
    def __init__(self, trial_id: str) -> None:
        self.trial_id = trial_id


def _other_decisions(folder: Path) -> int:
    """Decisions that differ from those of one ASHA that saw all results, each (trial, epoch) once, in their order."""
    asha, stands, differing = WrittenAsha(None), {}, 0
    seen: set[tuple[str, int]] = set()
    for record in decisions(folder):
        trial, epoch = record["trial"], record["epoch"]
        if trial not in stands:
            stands[trial] = _Stand(trial)
            asha.on_trial_add(None, stands[trial])
        if (trial, epoch) not in seen:
            seen.add((trial, epoch))
            decision = asha.on_trial_result(None, stands[trial], {"epoch": epoch, METRIC: record["value"]})
            differing += decision != record["decision"]
    return differing


def one(number: int, seed: int, experiments: list[dict[str, Any]]) -> dict[str, Any]:
    """A disturbed sweep and its counts."""
    rng = random.Random(f"{seed}-{number}")
    victim = VICTIMS[number % 2]
    with tempfile.TemporaryDirectory(prefix="peer-") as name:
        folder = Path(name)
        (folder / "experiments.json").write_text(json.dumps(experiments))
        started = time.perf_counter()
        story = disturbed(folder, victim, rng)
        counts = count(folder, experiments)
    return {**story, "seed": seed, "number": number, "wall_s": round(time.perf_counter() - started, 1),
            "counts": asdict(counts)}  # fmt: skip


def plan() -> list[dict[str, Any]]:
    """The configurations, the same in every sweep: what gatesweep's random search proposes."""
    spec = spec_from(SPEC, place="chaos")
    proposals = [searcher(spec).propose(number) for number in range(TRIALS)]
    return [spec.trial_config(p[0], number).as_dict() for number, p in enumerate(proposals) if p]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=10, help="sweeps, each disturbed once")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="where the counts are kept")
    parser.add_argument("--resume", action="store_true", help="add to the file that --json names")
    parser.add_argument("--drive", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.drive:
        drive(given.drive)
        return
    sweeps = load(given.json) if given.resume and given.json else []
    experiments = plan()
    for number in range(len(sweeps), len(sweeps) + given.kills):
        sweeps.append(one(number, given.seed, experiments))
        print(json.dumps(sweeps[-1]), flush=True)
        if given.json:
            save(given.json, {"what": "plain Ray Tune, MLflowLoggerCallback, Tuner.restore", **circumstances()}, sweeps)
    print(json.dumps({"sweeps": len(sweeps), **asdict(total(sweeps))}))


if __name__ == "__main__":
    main()
