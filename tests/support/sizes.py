"""Whether a task counts its models without memory for them, and counts what it trains."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch

from gatesweep.runs.size import Sizes


def counts_what_it_trains(task: Any, model: Any, *others: Any) -> None:
    """`task` is of `model`; `others` are models over the same data."""
    real, devices = task.module_of, []

    def module_of(each: Any) -> Any:
        devices.append(str(torch.get_default_device()))
        return real(each)

    task.module_of = module_of
    sizes = Sizes(_config(task, model), task)
    for each in (model, *others):
        counted = sizes.parameters(_config(task, each))
        assert counted == sum(p.numel() for p in real(each).parameters() if p.requires_grad)
    assert devices == ["meta"] * (1 + len(others)), "built without memory, and once each"


def _config(task: Any, model: Any) -> Any:
    return SimpleNamespace(task="any", data=task.data, model=model)
