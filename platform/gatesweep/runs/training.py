"""One training, recorded: configuration -> task -> fit -> test -> MLflow run. And the same, gone on with after a death.

    <home>/runs/<run_id>/config.json   epochs.jsonl   checkpoints/e0003/…

`epochs.jsonl` is this run's own log: every epoch's metrics, time and checkpoint, on disk before the tracker hears of
them. What is kept of the checkpoints is logged to the run when it is over, and the folder goes.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gatesweep.errors import NotFound, TrialFailed
from gatesweep.runs.build import prepare
from gatesweep.runs.disk import check_disk
from gatesweep.runs.experiment import ExperimentConfig, experiment_from
from gatesweep.runs.initial import resolved
from gatesweep.runs.lookup import KEPT
from gatesweep.runs.retention import Retention, kept, kept_note
from gatesweep.runs.scoring import Scored, score_best, statements_of
from gatesweep.runs.stages import fit_stages
from gatesweep.runs.stale import hold
from gatesweep.tasks.base import Task
from gatesweep.track.addresses import WEIGHTS
from gatesweep.track.lineage import collect
from gatesweep.track.recorder import MlflowRecorder, start_run
from gatesweep.track.store import Store
from gatesweep.train.callbacks import EpochReport
from gatesweep.train.checkpoint import commit_of
from gatesweep.train.fit import FitResult, Recipe
from gatesweep.train.recorder import Recorder

Say = Callable[[str], None]


@dataclass(frozen=True)
class RunResult:
    """What `gatesweep run --json` prints."""

    run_id: str
    metrics: dict[str, float]
    baseline: dict[str, Any]
    checkpoint: str
    wall_s: float
    epochs: int = 0
    outcome: str = "completed"
    experiment_id: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)


@dataclass
class Listener:
    """What a caller wants to hear while a run is going on."""

    say: Say = lambda line: None
    started: Callable[[str], None] = lambda run_id: None
    epoch: Callable[[EpochReport], None] = lambda report: None
    callbacks: tuple[Any, ...] = field(default_factory=tuple)
    """Lightning callbacks, for a progress bar."""


def run(
    config: ExperimentConfig,
    store: Store,
    listener: Listener | None = None,
    *,
    tags: Mapping[str, str] | None = None,
) -> RunResult:
    """Train one model and score it.

    Args:
        tags: what its MLflow run is found by, from its start.

    Raises:
        UserError: before anything was started.
        TrialFailed: the loss is no number; the MLflow run says FAILED and why.
    """
    listener = listener or Listener()
    check_disk(store.home)
    config = resolved(config, store)
    task, recipe = prepare(config, say=listener.say)
    for line in task.describe():
        listener.say(line)
    lock = collect(config.as_dict(), task.datasets, {"seed": config.seed})
    run_id = start_run(
        store,
        name=config.name or config.task,
        config=config.as_dict(),
        lock=lock,
        datasets=task.datasets,
        note="",
        tags=tags,
    )
    folder = store.home / "runs" / run_id
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config.as_dict()))
    listener.started(run_id)
    return _train(config, task, recipe, store, run_id, listener, ())


def configuration(run_id: str, home: Path) -> ExperimentConfig:
    """The configuration of a run that is not over.

    Raises:
        NotFound: the run is over, ran elsewhere, or never was.
    """
    file = home / "runs" / run_id / "config.json"
    if not re.fullmatch(r"[0-9a-f]{32}", run_id) or not file.is_file():
        raise NotFound(
            f"run '{run_id}' has nothing to go on from: it is over, ran elsewhere, or never was",
            place=str(home / "runs"),
            hint="gatesweep list shows the sweeps, gatesweep list --runs the runs; a run's id is 32 hex digits",
        )
    return experiment_from(json.loads(file.read_text()), place=str(file))


def resume(run_id: str, config: ExperimentConfig, store: Store, listener: Listener | None = None) -> RunResult:
    """Go on with an interrupted run from its last committed checkpoint; the numbers equal an uninterrupted run's.

    Raises:
        NotFound: nothing of that run is left to go on from.
    """
    listener = listener or Listener()
    check_disk(store.home)
    log = store.home / "runs" / run_id / "epochs.jsonl"
    task, recipe = prepare(config, say=listener.say)
    seen = _read_epochs(log)
    store.reopen(run_id)
    listener.started(run_id)
    return _train(config, task, recipe, store, run_id, listener, seen)


def _train(
    config: ExperimentConfig,
    task: Task,
    recipe: Recipe,
    store: Store,
    run_id: str,
    listener: Listener,
    seen: tuple[tuple[EpochReport, int], ...],
) -> RunResult:
    recorder: Recorder = MlflowRecorder(store, run_id)
    folder, started = store.home / "runs" / run_id, time.perf_counter()
    on_interrupt = signal.getsignal(signal.SIGINT)
    hold(folder)
    retention = Retention(config.trainer, config.keep)
    for report, timestamp_ms in seen:
        retention.offer(report)
        recorder.epoch(report.epoch, report.metrics, timestamp_ms)

    def on_epoch(report: EpochReport) -> None:
        timestamp_ms = int(time.time() * 1000)
        _append(folder / "epochs.jsonl", report, timestamp_ms)
        recorder.epoch(report.epoch, report.metrics, timestamp_ms)
        for stale in retention.offer(report):
            shutil.rmtree(stale, ignore_errors=True)
        listener.epoch(report)

    done, resume_from = [report for report, _ in seen], seen[-1][0].checkpoint if seen else None
    try:
        if done and done[-1].final:
            fitted = _as_fitted(done, retention)
        else:
            fitted, task = fit_stages(
                config,
                task,
                recipe,
                folder=folder / "checkpoints",
                on_epoch=on_epoch,
                resume=resume_from,
                seen=tuple(done),
                callbacks=listener.callbacks,
                say=listener.say,
            )
        scored = score_best(task, config, fitted.best_checkpoint, fitted.best_metrics)
        for line in statements_of(task, "test" if "test" in getattr(task, "splits", ("test",)) else "val"):
            listener.say(line)
        checkpoint = _keep(config, store, run_id, fitted, retention, scored)
    except (KeyboardInterrupt, SystemExit) as error:
        recorder.close("stopped", "interrupted; `gatesweep resume` goes on")
        if not isinstance(error.__context__, KeyboardInterrupt):
            raise
        with contextlib.suppress(ValueError):  # only the main thread may
            signal.signal(signal.SIGINT, on_interrupt)
        raise KeyboardInterrupt from None  # of which Lightning made sys.exit(1), and the process deaf to the next one
    except TrialFailed as error:
        recorder.close("failed", str(error))
        raise
    except BaseException as error:
        recorder.close("failed", f"{type(error).__name__}: {error}")
        raise
    recorder.close("completed")
    shutil.rmtree(folder, ignore_errors=True)
    return RunResult(
        run_id,
        scored.metrics,
        scored.baseline,
        checkpoint,
        round(time.perf_counter() - started, 3),
        fitted.epochs,
        experiment_id=store.get_run(run_id).experiment_id,
    )


def _keep(
    config: ExperimentConfig, store: Store, run_id: str, fitted: FitResult, retention: Retention, scored: Scored
) -> str:
    """Log what stays: checkpoints, figures, the scores; returns where the best kept checkpoint lies."""
    for path in kept(config.keep, fitted.best_checkpoint, fitted.last_checkpoint, retention.there):
        store.log_artifacts(run_id, path, f"checkpoints/{path.name}")
    best = fitted.last_checkpoint if config.keep.checkpoints == "last" else fitted.best_checkpoint
    store.write_text(run_id, KEPT, kept_note(best))
    store.log_batch(run_id, tags={WEIGHTS: commit_of(fitted.last_checkpoint)["weights"]})
    scored.log(store, run_id, fitted.best_epoch)
    return str(store.artifact(run_id, f"checkpoints/{best.name}"))


def _as_fitted(done: list[EpochReport], retention: Retention) -> FitResult:
    """A training that had ended before its process died: nothing to train, everything to score."""
    best = retention.best.report
    assert best is not None, "an ended training has a best epoch"
    return FitResult(done[-1].epoch, best.epoch, best.metrics, best.checkpoint, done[-1].checkpoint, 0.0)


def _append(path: Path, report: EpochReport, timestamp_ms: int) -> None:
    line = json.dumps(
        {
            "epoch": report.epoch,
            "metrics": report.metrics,
            "checkpoint": str(report.checkpoint),
            "final": report.final,
            "weights": report.weights,
            "ts": timestamp_ms,
        }
    )
    with path.open("a") as file:
        file.write(line + "\n")
        file.flush()
        os.fsync(file.fileno())


def _read_epochs(path: Path) -> tuple[tuple[EpochReport, int], ...]:
    """Every whole line; a line cut by a death is an epoch that nobody has heard of."""
    found = []
    for line in path.read_text().splitlines(keepends=True) if path.is_file() else []:
        if line.endswith("\n"):
            entry = json.loads(line)
            report = EpochReport(entry["epoch"], entry["metrics"], Path(entry["checkpoint"]), entry["final"],
                                 entry.get("weights", ""))  # fmt: skip
            found.append((report, entry["ts"]))
    return tuple(found)
