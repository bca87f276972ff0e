"""What a cell computes: its description, the reference loop that follows from it, and the faster ways to run it.

    description.py   what a cell is: gates, peepholes, states, recurrent sources and one step, written as its equations
    names.py         the cells' names alone, for configuration
    variants.py      the cells themselves
    places.py        where options act inside a step
    options.py       options of the loop as functions from a cell to a cell
    loop.py          the named cell with a configuration's options in it
    config.py        every option of a layer, for code and files alike
    weights.py       one layer's parameters
    reference.py     the loop over time: the definition and the oracle
    expression.py    a step as a graph, and its derivatives
    program.py       expressions as tensor operations that write into buffers
    derived.py       a step's forward and Jacobian programs
    unrolled.py      one autograd function around any loop that works unit by unit
    fused.py         the loop again, faster, on those programs
    scan.py          h = a ⊙ h + b for all time steps at once
    linear.py        cells that are of that form, run by it
    backends.py      the ways to run a cell, by name
    checks.py        sizes, lengths, empty sequences
    compiler.py      C source compiled once and kept
    native/          the loops in C, generated from a cell's description
    triton/          a step as Triton kernels, generated likewise
    sequences.py     batch first, one alone, padded, packed: how sequences come in and go out
    dropout.py       masks
    chrono.py        gates that start with memories of many lengths
    gates.py         a layer's parameters by gate
    stacked.py       layers over a sequence, whatever runs in them
    parameters.py    the parameters of stacked layers of one cell
    layer.py         `Recurrent`, with torch.nn.LSTM's conventions
    convert.py       weights from and to Keras and TensorFlow
    matrix.py        mLSTM, whose memory is a matrix: its equations as a loop
    chunkwise.py     the same in chunks of time
    matrix_layer.py  `MatrixLSTM`, the layer of it

    equations.py     a cell's lines, forwards and backwards, read off its step
    writing.py       expressions as people write them
    drawing.py       gates and states as a drawing in text
    example.py       one step of one unit in numbers
    matrix_shown.py  the lines of mLSTM, and its example
    shown.py         all of these for any cell
    counts.py        parameters and FLOPs
    papers.py        where each cell comes from
    flow.py          gradients on their way back through time
    building.py      native loops compiled ahead of time

Importing the package imports no torch: `Recurrent` and `find` are loaded when they are first used.
"""

from __future__ import annotations

import importlib
from typing import Any

_LAZY = {
    "Cell": "gatesweep.cells.description",
    "MatrixLSTM": "gatesweep.cells.matrix_layer",
    "Recurrent": "gatesweep.cells.layer",
    "find": "gatesweep.cells.variants",
}
__all__ = ["Cell", "MatrixLSTM", "Recurrent", "find"]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'gatesweep.cells' has no attribute '{name}'")
    return getattr(importlib.import_module(_LAZY[name]), name)
