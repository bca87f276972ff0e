"""gatesweep: train recurrent sequence models, search their hyperparameters, and get any result again.

    import gatesweep
    gatesweep.plan("configs/sweeps/traffic.yaml").hours
    sweep = gatesweep.sweep("configs/sweeps/traffic.yaml")
    sweep.trials()                      # a pandas DataFrame, one row a trial
    model = gatesweep.load(sweep.best["run_id"])

Importing the package imports nothing heavy: each name below is loaded when it is first used.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_ROOMS = ("sweep", "reproduce")
"""Rooms that can be called: each would cover a function of its name."""

_LAZY = ("run", "sweep", "resume", "evaluate", "load", "sample", "forecast", "backtest", "reproduce", "compare",
         "seeds", "trace", "plan")  # fmt: skip
__all__ = ["__version__", *_LAZY]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'gatesweep' has no attribute '{name}'")
    if name in _ROOMS:
        return importlib.import_module(f"gatesweep.{name}")
    return getattr(importlib.import_module("gatesweep.api"), name)
