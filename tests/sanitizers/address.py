"""Inside a process that AddressSanitizer was loaded into first: run the instrumented code, each case in a fork.

A tensor lies in a heap block of its own with red zones around it, and every access is checked. The faults are the first
self-test: a library whose every load or store is off by one must not survive, or nothing below means anything.

Undefined behaviour ends a fork likewise (signed overflow, shifts, null, bounds, alignment).
"""

from __future__ import annotations

import ctypes
import os
import sys
import tempfile
from collections.abc import Callable
from functools import partial

import torch
from builds import FAULTS, built_at, planted_in
from cell_problems import gradients, problem
from kinds import SHAPES, Case, cases

from gatesweep.cells.native import kernel
from gatesweep.cells.native.unroll import unroll
from gatesweep.models import softmax_rows

REPORTED = 99
"""The exit code that a report ends a fork with."""

SAID = {"reads one too far": "\nREAD of size", "writes one too far": "\nWRITE of size"}
"""What a report says of a planted fault."""

THREADS = (1, 2)


def main(folder: str, plain: str, *names: str) -> int:
    """Run everything; print what was found and a line of figures. 1: a fault, or a planted one that was missed."""
    chosen, failures = cases(names, plain=plain == "plain"), 0
    planted = [(case, fault) for case in planted_in(chosen, plain == "plain") for fault in FAULTS]
    for case, fault in [*planted, *((case, None) for case in chosen)]:
        failures += _judge(case.label, fault, partial(_loops, folder, case, fault))
    for fault in (*FAULTS, None):
        failures += _judge("softmax rows", fault, partial(_softmax, folder, fault))
    print(f"address, undefined: {len(chosen)} kinds of loops, {len(chosen) * len(SHAPES) * len(THREADS)} runs, softmax"
          f" rows, {len(planted) + len(FAULTS)} planted faults: {failures} failures")
    return min(failures, 1)


def _judge(label: str, fault: str | None, run: Callable[[], None]) -> bool:
    """Whether the run went otherwise than it must; then what it said is printed."""
    status, said = _forked(run)
    good = status == 0 if fault is None else status == REPORTED and SAID[fault] in said
    if not good:
        print(f"FAILED {label}{f' that {fault}' if fault else ''}: exit {status}\n{said[:6000]}")
    return not good


def _forked(run: Callable[[], None]) -> tuple[int, str]:
    """The exit code of a fork that runs it, and what it wrote to stderr."""
    sys.stdout.flush()
    with tempfile.TemporaryFile() as said:
        child = os.fork()
        if child == 0:
            os.dup2(said.fileno(), 2)
            try:
                run()
            except BaseException as error:
                os.write(2, repr(error).encode())
                os._exit(1)
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        said.seek(0)
        return status, said.read().decode(errors="replace")


def _loops(folder: str, case: Case, fault: str | None) -> None:
    """Forwards and backwards; a shape is enough to meet a fault."""
    kernel.library = lambda source, name: ctypes.CDLL(str(built_at(folder, source, fault)))
    for shape in SHAPES if fault is None else SHAPES[1:2]:
        given = problem(case.kind.cell, shape.T, shape.B, shape.D, shape.H, case.kind.dtype, **case.options(shape.H))
        for threads in THREADS:
            torch.set_num_threads(threads)
            outputs = given.run(unroll, lengths_B=shape.lengths_B)
            if not all(bool(d.isfinite().all()) for d in (*outputs, *gradients(outputs, given.tensors))):
                raise ArithmeticError(f"{case.label} at {shape}: a value that is not finite")


def _softmax(folder: str, fault: str | None) -> None:
    """Rows of logits, strided and not, with bias, factors and smoothing and without."""
    softmax_rows.library = lambda source, name: ctypes.CDLL(str(built_at(folder, source, fault)))
    for dtype in (torch.float32, torch.bfloat16):
        for C, V in ((1, 1), (3, 7), (2, 8), (5, 33), (2, 4101)):
            for smoothing, bias, factor in ((0.0, None, None), (0.1, torch.randn(V), torch.rand(C)),
                                            (0.0, None, torch.rand(C)), (0.1, torch.randn(V), None)):
                targets_C = torch.arange(C) % V
                targets_C[-1] = V - 1
                for logits_CV in (torch.randn(C, V).to(dtype), torch.randn(C, V + 3).to(dtype)[:, 3:]):
                    loss_C = softmax_rows.softmax_rows(logits_CV, bias, targets_C, smoothing, factor)
                    if not loss_C.isfinite().all():
                        raise ArithmeticError(f"softmax of {C} rows of {V}: a loss that is not finite")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
