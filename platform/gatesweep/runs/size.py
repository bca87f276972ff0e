"""How large the model of a configuration is, without making it: built on torch's device "meta", which has no memory.

    parameters        trained numbers of the whole module: encoder, embeddings, heads

What a model's size depends on beside its own section (a vocabulary, columns, classes) comes from the task's data, which
is loaded once for each `data:` section.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from gatesweep.config.digest import digest
from gatesweep.runs.experiment import ExperimentConfig

if TYPE_CHECKING:
    from gatesweep.models.config import ModelConfig
    from gatesweep.tasks.base import Task, TaskModule


class Sizes:
    """Counts, each configuration once."""

    def __init__(self, experiment: ExperimentConfig | None = None, task: Task | None = None) -> None:
        """`task`: of `experiment`, if there is one already."""
        self._task = (digest(experiment.data.model_dump(mode="json")), task) if experiment and task else None
        self._known: dict[str, int] = {}

    def parameters(self, config: ExperimentConfig) -> int:
        """Trained numbers of the model.

        Raises:
            UserError: the task refuses the configuration, or its data cannot be had.
        """
        data = digest(config.data.model_dump(mode="json"))
        key = digest([config.task, data, config.model.model_dump(mode="json")])
        if key not in self._known:
            module = self._module(config, data)
            self._known[key] = sum(p.numel() for p in module.parameters() if p.requires_grad)
        return self._known[key]

    def _module(self, config: ExperimentConfig, data: str) -> TaskModule:
        import torch

        from gatesweep.tasks.registry import load_task

        if self._task is None or self._task[0] != data or not hasattr(self._task[1], "module_of"):
            made = load_task(config.task)(config.data, config.model, batch_size=config.trainer.batch_size,
                                          seed=config.seed, say=lambda line: None)  # fmt: skip
            self._task = (data, made)
            return made.module
        module_of: Callable[[ModelConfig], TaskModule] = self._task[1].module_of  # type: ignore[attr-defined]
        try:
            with torch.device("meta"):
                return module_of(config.model)
        except (RuntimeError, NotImplementedError):  # weights that are read, or calculated from numbers
            return module_of(config.model)
