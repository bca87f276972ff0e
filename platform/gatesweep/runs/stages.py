"""A training whose values change on the way (`changes:` of an experiment): one stage after the other.

    stage 1: the file's values, to the end of epoch 4 -> checkpoint -> stage 2: module and data anew, the new values

It is how a trial of `scheduler: {name: pbt}` came about, so that one is trained again from its configuration alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from gatesweep.runs.build import prepare
from gatesweep.runs.experiment import ExperimentConfig, stages_of
from gatesweep.tasks.base import Task
from gatesweep.train.callbacks import EpochReport, StopAfter
from gatesweep.train.fit import FitResult, Recipe, fit


def fit_stages(
    config: ExperimentConfig,
    task: Task,
    recipe: Recipe,
    *,
    folder: Path,
    on_epoch: Callable[[EpochReport], None],
    resume: Path | None,
    seen: tuple[EpochReport, ...],
    callbacks: tuple[Any, ...],
    say: Callable[[str], None],
) -> tuple[FitResult, Task]:
    """Train every stage that is left, each from the checkpoint of the one before; arguments as of `fit`.

    Args:
        task: of the first stage.

    Returns:
        What was trained, and the last stage's task.
    """
    stages, reports = stages_of(config), list(seen)
    ends = [stage.after_epoch for stage in stages[1:]] + [config.trainer.max_epochs]
    asked = min((each.epochs for each in callbacks if isinstance(each, StopAfter)), default=config.trainer.max_epochs)
    fitted = None
    for (before, stage), end in zip(itertools.pairwise([stages[0], *stages]), ends, strict=True):
        done = reports[-1].epoch if reports else 0
        if done >= end or (fitted and done < stage.after_epoch) or (fitted and done >= asked):
            continue
        if stage is not stages[0]:
            task, recipe = prepare(stage.config, say=say)
        goes_on = end < min(asked, config.trainer.max_epochs)

        def heard(report: EpochReport, border: int | None = end if goes_on else None) -> None:
            reports.append(replace(report, final=False) if report.epoch == border else report)
            on_epoch(reports[-1])

        fitted = fit(
            task,
            recipe,
            folder=folder,
            on_epoch=heard,
            resume=reports[-1].checkpoint if reports else resume,
            was=before.config.optimizer if done == stage.after_epoch else None,
            seen=tuple(reports),
            callbacks=(*callbacks, StopAfter(end)) if goes_on else callbacks,
        )
    assert fitted is not None, "the caller trains what has epochs left"
    return fitted, task
