"""What a cell computes: its description, the reference loop that follows from it, and the faster ways to run it.

    description.py   what a cell is: gates, peepholes, states, recurrent sources and one step, written as its equations
    names.py         the cells' names alone, for configuration
    variants.py      the cells themselves
    weights.py       one layer's parameters
    reference.py     the loop over time: the definition and the oracle
    expression.py    a step as a graph, and its derivatives
    program.py       expressions as tensor operations that write into buffers
    derived.py       a step's forward and Jacobian programs
    fused.py         the loop again, faster, on those programs
    backends.py      the ways to run a cell, by name
    checks.py        sizes, lengths, empty sequences
    compiler.py      C source compiled once and kept
    layer.py         `Recurrent`, with torch.nn.LSTM's conventions

Importing the package imports no torch: `Recurrent` and `find` are loaded when they are first used.
"""

from __future__ import annotations

import importlib
from typing import Any

_LAZY = {
    "Cell": "gatesweep.cells.description",
    "Recurrent": "gatesweep.cells.layer",
    "find": "gatesweep.cells.variants",
}
__all__ = ["Cell", "Recurrent", "find"]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'gatesweep.cells' has no attribute '{name}'")
    return getattr(importlib.import_module(_LAZY[name]), name)
