"""Loops under valgrind, in C alone, as gatesweep compiles them but for a `main` behind.

Every cell as it is, and with all its options together.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from builds import FAULTS, PROGRAM, build, built_at, faulty, planted_in, softmax_source
from kinds import FEW_SHAPES, Case, cases

from gatesweep.cells.native.kernel import source

HERE = Path(__file__).resolve().parent
REPORTED = 99
"""The exit code of a run in which valgrind saw something."""

VALGRIND = ("valgrind", "-q", "--leak-check=no", f"--error-exitcode={REPORTED}", "--exit-on-first-error=yes")


@dataclass(frozen=True)
class Job:
    """A program, the arguments of each of its runs, and the exit code that they must end with."""

    label: str
    source: str
    runs: tuple[tuple[str, ...], ...]
    status: int = 0


def check(folder: Path, names: list[str], plain: bool) -> int:
    """Run everything; print what was found and a line of figures. 1: a fault, or a planted one that was missed."""
    chosen = cases(names, plain=plain, single=False)
    jobs = [Job(case.label, program(case), arguments(case)) for case in chosen]
    jobs.append(Job("softmax rows", softmax_source() + (HERE / "softmax_main.c").read_text(), ((),)))
    planted = [job for case in planted_in(chosen, plain) for job in with_faults(case)]
    build(folder, [job.source for job in jobs + planted], PROGRAM)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        failures = sum(pool.map(partial(failed, folder), jobs + planted))
    print(f"memcheck: {len(chosen)} kinds of loops and softmax rows, {sum(len(job.runs) for job in jobs)} runs,"
          f" {len(planted)} planted faults: {failures} failures")
    return min(failures, 1)


def with_faults(case: Case) -> Iterator[Job]:
    """What valgrind must not let pass."""
    texts = {fault: faulty(program(case), fault) for fault in FAULTS}
    for fault, text in (texts | {"has unwritten states": program(case, unwritten=True)}).items():
        yield Job(f"{case.label} that {fault}", text, arguments(case)[:1], REPORTED)


def program(case: Case, *, unwritten: bool = False) -> str:
    """The loops with a main function behind them."""
    defined = f"#define VECTORS {len(case.kind.cell.units)}\n#define UNWRITTEN {int(unwritten)}\n"
    return source(case.kind) + defined + (HERE / "loops_main.c").read_text()


def arguments(case: Case) -> tuple[tuple[str, ...], ...]:
    """T, B, units, outputs and whether lengths differ, of each shape."""
    sizes = [(x.T, x.B, x.H, case.options(x.H).get("projection", x.H), int(x.ragged)) for x in FEW_SHAPES]
    return tuple(tuple(map(str, given)) for given in sizes)


def failed(folder: Path, job: Job) -> bool:
    """Whether a run ended otherwise than it must; then what it said is printed."""
    for given in job.runs:
        command = [*VALGRIND, str(built_at(folder, job.source)), *given]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != job.status:
            print(f"FAILED {job.label} {' '.join(given)}: exit {done.returncode}\n{done.stdout}{done.stderr[:6000]}")
            return True
    return False
