"""The same numbers again, or why not.

The room carries the name of the function that users call, `gatesweep.reproduce("best:traffic-20261129-ab12cd")`, and
can be called, as `gatesweep.sweep` can.
"""

from __future__ import annotations

import importlib
import sys
import types
from typing import Any


class _Room(types.ModuleType):
    def __call__(self, name: str, **options: Any) -> Any:
        """`gatesweep.api.reproduce`."""
        return importlib.import_module("gatesweep.api").reproduce(name, **options)


sys.modules[__name__].__class__ = _Room
