"""From a spec to trials: search, schedule, run, survive, resume. Ray Tune executes; the log is the truth.

The room carries the name of the function that users call, `gatesweep.sweep("configs/sweeps/traffic.yaml")`: Python puts
an imported subpackage over a function of the same name, so the room itself can be called.
"""

from __future__ import annotations

import importlib
import sys
import types
from typing import Any


class _Room(types.ModuleType):
    def __call__(self, spec: Any, **options: Any) -> Any:
        """`gatesweep.api.sweep`."""
        return importlib.import_module("gatesweep.api").sweep(spec, **options)


sys.modules[__name__].__class__ = _Room
