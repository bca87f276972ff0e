"""One attempt at one trial, on a worker: build the task, train, report every epoch with its committed checkpoint.

Runs in processes that are kept warm between trials: seeds, threads and everything else that lasts are set anew.
"""

from __future__ import annotations

import json
import shutil
import traceback
from pathlib import Path
from typing import Any

from gatesweep.errors import TrialFailed, UserError


def train_trial(config: dict[str, Any]) -> None:
    """What Ray Tune runs. `config` is the ledger's assignment as plain JSON; it holds nothing else.

    Deaths of our own making are reported, with their reason and whether a retry may help; only a process that is
    killed reaches the driver as Tune's error.
    """
    from ray import tune

    from gatesweep.sweep import warm

    warm.ready()
    try:
        _attempt(config, tune.report)
    except (TrialFailed, UserError) as error:
        tune.report({"attempt": config["attempt"], "died": str(error), "retry": False})
    except Exception as error:
        trace = "".join(traceback.format_exception(error)[-6:])
        tune.report({"attempt": config["attempt"], "died": f"{type(error).__name__}: {error}\n{trace}", "retry": True})


def _attempt(config: dict[str, Any], report: Any) -> None:
    from gatesweep.runs.build import prepare
    from gatesweep.runs.experiment import experiment_from
    from gatesweep.runs.retention import Retention
    from gatesweep.train.callbacks import EpochReport
    from gatesweep.train.fit import fit

    experiment = experiment_from(json.loads(config["experiment"]), place=config["trial"])
    folder = Path(config["folder"])
    task, recipe = prepare(experiment, data_md5=config["data_md5"])
    retention = Retention(experiment.trainer, experiment.keep)
    seen = tuple(EpochReport(epoch, metrics, Path(path), False) for epoch, metrics, path in json.loads(config["seen"]))
    for epoch in seen:
        retention.offer(epoch)

    def on_epoch(done: EpochReport) -> None:
        # one text, for Tune would take nested metrics apart at their slashes
        report(
            {
                "attempt": config["attempt"],
                "epoch": done.epoch,
                "metrics": json.dumps(done.metrics),
                "checkpoint": str(done.checkpoint),
                "final": done.final,
            }
        )
        for stale in retention.offer(done):  # only now: the log refers to the new checkpoint
            shutil.rmtree(stale, ignore_errors=True)

    resume = Path(config["resume"]) if config["resume"] else None
    fit(task, recipe, folder=folder, on_epoch=on_epoch, resume=resume, seen=seen)
