"""From a configuration to something that trains: seeds first, then data, then the model that follows from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from gatesweep.errors import DataError, ResourceError
from gatesweep.runs.experiment import ExperimentConfig
from gatesweep.runs.initial import start_from
from gatesweep.tasks.base import Task
from gatesweep.tasks.registry import load_task
from gatesweep.train.fit import Recipe, set_up


def recipe_of(config: ExperimentConfig) -> Recipe:
    """How to train, out of the whole configuration."""
    return Recipe(config.optimizer, config.schedule, config.trainer, config.seed)


def prepare(
    config: ExperimentConfig,
    *,
    data_md5: Mapping[str, str] | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> tuple[Task, Recipe]:
    """The task, its data loaded and checked, its model initialised from the seed, or from another run.

    Args:
        data_md5: digests that the data must have, by set; None takes what is pinned.

    Raises:
        DataError: data missing, altered, unusable, or not what `data_md5` names.
    """
    recipe = recipe_of(config)
    if config.trainer.accelerator == "gpu" and not torch.cuda.is_available():
        hint = "auto or cpu train on the CPU"
        raise ResourceError("trainer.accelerator: this machine has no GPU that torch can use", hint=hint)
    set_up(recipe)
    task = load_task(config.task)(
        config.data, config.model, batch_size=config.trainer.batch_size, seed=config.seed, say=say
    )
    if config.init_from is not None:
        task.datasets.append(start_from(task.module, config.init_from, say))
    for dataset in task.datasets:
        wanted = (data_md5 or {}).get(dataset.name, dataset.md5)
        if dataset.md5 != wanted:
            raise DataError(
                f"the data '{dataset.name}' has the digest {dataset.md5}, not {wanted} as at the start",
                place=str(dataset.path),
                hint=dataset.restore_hint,
            )
    return task, recipe
