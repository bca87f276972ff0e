"""Ray Tune as the executor of attempts: a fresh Tuner on every start, and everything that it asks goes to the ledger.

Tune pickles its searcher, scheduler and callbacks, so all three are empty shells around one run of this process. Tune
turns some errors in hooks into "trial failed", which would write a wrong history: every hook ends the process instead.
"""

from __future__ import annotations

import functools
import json
import os
import queue
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from ray.tune import (
    Callback,
    FailureConfig,
    PlacementGroupFactory,
    RunConfig,
    TuneConfig,
    Tuner,
    with_parameters,
    with_resources,
)
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from gatesweep.errors import EXIT_OURS, LogError, StorageError
from gatesweep.sweep.control import Request
from gatesweep.sweep.deaths import every_death_is_told, from_words, words_of
from gatesweep.sweep.failures import Death
from gatesweep.sweep.ledger import Ledger
from gatesweep.sweep.trial import Assignment
from gatesweep.sweep.worker import Surroundings, train_trial
from gatesweep.track.records import BY_USER

F = TypeVar("F", bound=Callable[..., Any])


@dataclass
class _Run:
    """One execution: the ledger, and what is known of the attempts that run."""

    ledger: Ledger
    data_md5: dict[str, str]
    requests: queue.SimpleQueue[Request]
    where: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Ray Tune's id -> the node and the host that the attempt was last heard from."""
    heard_s: dict[str, float] = field(default_factory=dict)
    """Ray Tune's id -> when the attempt began to run, or last reported; monotonic."""
    too_slow: set[str] = field(default_factory=set)


_run: _Run | None = None


def _the_run() -> _Run:
    if _run is None:
        raise AssertionError("Ray Tune asked before the sweep was opened")
    return _run


def _fail_stop(hook: F) -> F:
    """A hook that cannot write the truth must not let Tune go on; the log is resumable at any point."""

    @functools.wraps(hook)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        try:
            return hook(*args, **kwargs)
        except (OSError, LogError, StorageError) as error:
            print(
                f"gatesweep: the sweep's log cannot be written: {error}\n\nhint: mend it, then resume", file=sys.stderr
            )
        except Exception:
            traceback.print_exc()
        sys.stderr.flush()
        os._exit(EXIT_OURS)

    return guarded  # type: ignore[return-value]


class LedgerSearcher(Searcher):
    """Hands the ledger's next assignment to Tune."""

    def __init__(self) -> None:
        super().__init__(
            metric="attempt", mode="max"
        )  # Tune wants a metric in every report; the ledger has the real one

    @_fail_stop
    def suggest(self, trial_id: str) -> Any:
        answer = _the_run().ledger.next(trial_id)
        if answer == "wait":
            return None
        return Searcher.FINISHED if answer == "finished" else _plain(answer)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """The scheduler hears of it."""

    @_fail_stop
    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        _the_run().ledger.released(trial_id, Death("crash", "the worker process died") if error else None)

    def save(self, checkpoint_path: str) -> None:
        """Nothing of ours lives in Tune's snapshot."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing of ours lives in Tune's snapshot."""

    def set_search_properties(self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any) -> bool:
        return True


class LedgerScheduler(FIFOScheduler):
    """Asks the ledger after each epoch, and tells it of deaths."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def set_search_properties(self, metric: str | None, mode: str | None, **spec: Any) -> bool:
        return True

    @_fail_stop
    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        run, key = _the_run(), trial.trial_id
        if key not in run.ledger.running:  # of an attempt that is over: its death was told before its last words
            return str(TrialScheduler.STOP)
        run.where[key], run.heard_s[key] = (result["node"], result["host"]), time.monotonic()
        if "died" in result:
            if result["attempt"] == run.ledger.trials[run.ledger.running[key]].attempt:
                run.ledger.failed(key, Death(**json.loads(result["died"])))
            return str(TrialScheduler.STOP)
        answer = run.ledger.result(key, {**result, "metrics": json.loads(result["metrics"])})
        return str(TrialScheduler.STOP if answer == "stop" else TrialScheduler.CONTINUE)

    @_fail_stop
    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        run, key = _the_run(), trial.trial_id
        node, host = run.where.get(key, ("", ""))
        if key in run.too_slow:
            limit_s = run.ledger.spec.failure.timeout_s
            run.ledger.failed(key, Death("timeout", f"no epoch within {limit_s:g} s", node=node, host=host))
        else:
            run.ledger.failed(key, from_words(words_of(trial), node, host))


class LedgerCallback(Callback):
    """Between two events of Tune's loop: what the user asked for, and attempts that take too long."""

    @_fail_stop
    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        run = _the_run()
        while not run.requests.empty():
            _obey(run.ledger, run.requests.get())
        run.ledger.check_budget()
        if run.ledger.spec.failure.timeout_s is not None:
            for trial in trials:
                if trial.status == "RUNNING":
                    _end_if_too_slow(run, trial, run.ledger.spec.failure.timeout_s)


def _obey(ledger: Ledger, request: Request) -> None:
    if request.get("trial"):
        ledger.end(str(request["trial"]).rpartition("/")[2], "stopped by the user")
    elif request.get("stop") == "now":
        ledger.stop(BY_USER)
        signal.raise_signal(signal.SIGINT)
    elif request.get("stop") in ("drain", "epoch"):
        ledger.pausing = request["stop"]


def _end_if_too_slow(run: _Run, trial: Any, limit_s: float) -> None:
    heard_s = run.heard_s.setdefault(trial.trial_id, time.monotonic())
    actor = trial.temporary_state.ray_actor
    if time.monotonic() - heard_s > limit_s and trial.trial_id not in run.too_slow and actor is not None:
        import ray

        run.too_slow.add(trial.trial_id)
        ray.kill(actor)


def _plain(assignment: Assignment) -> dict[str, Any]:
    """An assignment as the flat JSON that travels to the worker."""
    trial, run = assignment.trial, _the_run()
    config = run.ledger.spec.trial_config(trial.params, trial.number)
    seen = [[epoch, trial.metrics[epoch], trial.checkpoints.get(epoch, "")] for epoch in sorted(trial.metrics)]
    trained_as = run.ledger.spec.trial_config(*trial.trained_as).as_dict() if trial.trained_as else None
    lent, returned = run.ledger.lent(trial)
    return {
        "trial": trial.name,
        "attempt": trial.attempt,
        "experiment": json.dumps(config.as_dict()),
        "folder": assignment.folder,
        "resume": trial.checkpoint or "",
        "trained_as": json.dumps(trained_as),
        "seen": json.dumps(seen),
        "lent": lent,
        "returned": returned,
        "data_md5": dict(run.data_md5),
    }


def _resources(config: dict[str, Any]) -> PlacementGroupFactory:
    """What one attempt gets, on a node that is not excluded."""
    ledger = _the_run().ledger
    wanted = ledger.spec.resources
    bundle = {"CPU": float(wanted.cpus)} | ({"GPU": wanted.gpus} if wanted.gpus else {})
    if not ledger.excluded:
        return PlacementGroupFactory([bundle])
    selector = {"ray.io/node-id": f"!in({','.join(sorted(ledger.excluded))})"}
    return PlacementGroupFactory([bundle], bundle_label_selector=[selector])


def _has_other_nodes(excluded: set[str], cpus: float) -> bool:
    import ray

    return any(
        node["Alive"] and node["NodeID"] not in excluded and node["Resources"].get("CPU", 0) >= cpus
        for node in ray.nodes()  # type: ignore[no-untyped-call]
    )


def execute(
    ledger: Ledger,
    *,
    storage: Path,
    data_md5: dict[str, str],
    around: Surroundings,
    requests: queue.SimpleQueue[Request],
) -> None:
    """Run attempts until the ledger has no more. Ray must be up.

    Args:
        storage: a folder for Tune's own files, of no further use.
        data_md5: the digests that a worker's data must have.
        requests: what the user asks meanwhile.
    """
    global _run
    _run = _Run(ledger, data_md5, requests)
    if around.shared:
        ledger.has_other_nodes = functools.partial(_has_other_nodes, cpus=ledger.spec.resources.cpus)
    trainable = with_resources(with_parameters(train_trial, around=around), _resources)
    tuner = Tuner(
        trainable,
        tune_config=TuneConfig(
            search_alg=LedgerSearcher(),
            scheduler=LedgerScheduler(),
            num_samples=-1,
            reuse_actors=ledger.spec.reuse_actors,
        ),
        run_config=RunConfig(
            name=storage.name,
            storage_path=str(storage.parent),
            verbose=0,
            failure_config=FailureConfig(max_failures=0, fail_fast=False),
            callbacks=[LedgerCallback()],
        ),
    )
    try:
        with every_death_is_told():
            tuner.fit()
    finally:
        _run = None
