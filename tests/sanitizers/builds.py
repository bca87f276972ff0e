"""Sources compiled in other ways than gatesweep does: instrumented, with a planted fault, with a main function.

A file's name is the digest of what is in it, so that whoever has the source finds what was built of it.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import gatesweep.models
from gatesweep.cells.compiler import FLAGS

CHECKED = (*FLAGS, "-O0", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
"""Unoptimised, so that every access that is written is made, and checked."""

PROGRAM = (*(flag for flag in FLAGS if flag not in ("-fPIC", "-shared")), "-g")
"""As gatesweep compiles, vector instructions and all, but for a `main`."""

FAULTS = {"reads one too far": "load", "writes one too far": "store"}
"""What can be planted, with the function of a source that it is planted in."""

Kind = TypeVar("Kind")


def planted_in(kinds: Sequence[Kind], plain: bool) -> Sequence[Kind]:
    """Those that faults are planted in: the first cell as it is, in float32 and float64; where time counts, in one."""
    return kinds[: 1 if plain else 2]


def softmax_source() -> str:
    """The rows of the cross-entropy in C."""
    return Path(gatesweep.models.__file__).with_name("softmax_rows.c").read_text()


def faulty(source: str, fault: str | None) -> str:
    """The source with every vector read or written at an index that is off by one."""
    if fault is None:
        return source
    real = "real" if "typedef float real" in source or "typedef double real" in source else "float"
    name, const = FAULTS[fault], "const " if FAULTS[fault] == "load" else ""
    found = f" {name}({const}{real} *p"
    if source.count(found) != 1:
        raise LookupError(f"no function '{name}' to plant a fault in")
    head, tail = source.split(found)
    brace = tail.index("{") + 1
    return f"{head}{found}{tail[:brace]} p += 1;{tail[brace:]}"


def built_at(folder: str | Path, source: str, fault: str | None = None) -> Path:
    """Where the build of a source lies."""
    return Path(folder, hashlib.sha256(faulty(source, fault).encode()).hexdigest()[:20])


def build(folder: Path, sources: Iterable[str], flags: tuple[str, ...]) -> None:
    """Compile all, several at a time.

    Raises:
        CalledProcessError: one does not compile; its message holds what the compiler said.
    """

    def one(source: str) -> None:
        made = built_at(folder, source)
        text = made.with_suffix(".c")
        text.write_text(source)
        subprocess.run(["gcc", *flags, str(text), "-o", str(made), "-lm"], check=True)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(one, dict.fromkeys(sources)))
