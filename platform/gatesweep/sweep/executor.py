"""Ray Tune as the executor of attempts: a fresh Tuner on every start, and everything that it asks goes to the ledger.

Tune pickles its searcher and scheduler, so both are empty shells around one ledger of this process. Tune turns some
errors in hooks into "trial failed", which would write a wrong history: every hook ends the process instead.
"""

from __future__ import annotations

import functools
import json
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from ray.tune import FailureConfig, RunConfig, TuneConfig, Tuner, with_resources
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from gatesweep.errors import EXIT_OURS, LogError
from gatesweep.sweep.ledger import Assignment, Ledger
from gatesweep.sweep.worker import train_trial

_ledger: Ledger | None = None
_data_md5: dict[str, str] = {}
F = TypeVar("F", bound=Callable[..., Any])


def _the_ledger() -> Ledger:
    if _ledger is None:
        raise AssertionError("Ray Tune asked before the sweep was opened")
    return _ledger


def _fail_stop(hook: F) -> F:
    """A hook that cannot write the truth must not let Tune go on; the log is resumable at any point."""

    @functools.wraps(hook)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        try:
            return hook(*args, **kwargs)
        except (OSError, LogError) as error:
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
        answer = _the_ledger().next(trial_id)
        if answer == "wait":
            return None
        return Searcher.FINISHED if answer == "finished" else _plain(answer)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """The scheduler hears of it."""

    @_fail_stop
    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        _the_ledger().released(trial_id, "the worker process died" if error else None)

    def save(self, checkpoint_path: str) -> None:
        """Nothing of ours lives in Tune's snapshot."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing of ours lives in Tune's snapshot."""

    def set_search_properties(self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any) -> bool:
        return True


class LedgerScheduler(FIFOScheduler):
    """Asks the ledger after each epoch."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def set_search_properties(self, metric: str | None, mode: str | None, **spec: Any) -> bool:
        return True

    @_fail_stop
    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        ledger = _the_ledger()
        if "died" in result:
            if result["attempt"] == ledger.trials[ledger.running[trial.trial_id]].attempt:
                ledger.failed(trial.trial_id, result["died"], retry=result["retry"])
            return str(TrialScheduler.STOP)
        answer = ledger.result(trial.trial_id, {**result, "metrics": json.loads(result["metrics"])})
        return str(TrialScheduler.STOP if answer == "stop" else TrialScheduler.CONTINUE)

    @_fail_stop
    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        error = trial.get_pickled_error()
        _the_ledger().failed(
            trial.trial_id,
            f"the worker process died: {error}"[:2000] if error else "the worker process died",
            retry=True,
        )


def _plain(assignment: Assignment) -> dict[str, Any]:
    """An assignment as the flat JSON that travels to the worker."""
    trial, ledger = assignment.trial, _the_ledger()
    config = ledger.spec.trial_config(trial.params, trial.number)
    seen = [[epoch, trial.metrics[epoch], trial.checkpoints.get(epoch, "")] for epoch in sorted(trial.metrics)]
    return {
        "trial": trial.name,
        "attempt": trial.attempt,
        "experiment": json.dumps(config.as_dict()),
        "folder": str(assignment.folder),
        "resume": trial.checkpoint or "",
        "seen": json.dumps(seen),
        "data_md5": dict(_data_md5),
    }


def execute(ledger: Ledger, *, storage: Path, data_md5: dict[str, str]) -> None:
    """Run attempts until the ledger has no more. Ray must be up.

    Args:
        storage: a folder for Tune's own files, of no further use.
        data_md5: the digests that a worker's data must have.
    """
    global _ledger, _data_md5
    _ledger, _data_md5 = ledger, data_md5
    spec = ledger.spec
    trainable = with_resources(train_trial, {"cpu": spec.resources.cpus, "gpu": spec.resources.gpus})
    tuner = Tuner(
        trainable,
        tune_config=TuneConfig(
            search_alg=LedgerSearcher(), scheduler=LedgerScheduler(), num_samples=-1, reuse_actors=spec.reuse_actors
        ),
        run_config=RunConfig(
            name=storage.name,
            storage_path=str(storage.parent),
            verbose=0,
            failure_config=FailureConfig(max_failures=0, fail_fast=False),
        ),
    )
    try:
        tuner.fit()
    finally:
        _ledger = None
