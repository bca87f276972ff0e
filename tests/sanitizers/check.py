"""The native code under memory checkers: the loops of every cell, and the rows of the cross-entropy.

    python tests/sanitizers/check.py [--only address|memcheck] [--cells NAME ...] [--plain]

    address     gcc's AddressSanitizer and UndefinedBehaviorSanitizer under Python, on torch's own tensors: accesses out
                of bounds, undefined behaviour
    memcheck    valgrind on the code as it is compiled for this machine, in C alone (`loops_main.c`, `softmax_main.c`),
                on blocks as long as they must be: what is read before it is written besides. It is slow, so a cell
                has no options or all of them

Each first proves that it sees planted faults. Exit code 0: nothing found. Debian: apt-get install gcc valgrind.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import memcheck
from builds import CHECKED, FAULTS, build, faulty, planted_in, softmax_source
from kinds import cases

from gatesweep.cells.names import NAMES
from gatesweep.cells.native.kernel import source

HERE = Path(__file__).resolve().parent
NEEDS = {"address": ["gcc"], "memcheck": ["gcc", "valgrind"]}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("address", "memcheck"))
    parser.add_argument("--cells", nargs="+", metavar="NAME", choices=NAMES, default=[], help="in place of all")
    parser.add_argument("--plain", action="store_true", help="without the cells' options")
    given = parser.parse_args()
    failed = 0
    for name, check in (("address", address), ("memcheck", memcheck.check)):
        if given.only in (None, name):
            absent = [program for program in NEEDS[name] if shutil.which(program) is None]
            if absent:
                parser.error(f"no {' and no '.join(absent)} on the PATH. Debian: apt-get install gcc valgrind")
            start = time.monotonic()
            with tempfile.TemporaryDirectory(prefix="gatesweep-sanitizers-") as folder:
                failed |= check(Path(folder), given.cells, given.plain)
            print(f"{name}: {time.monotonic() - start:.0f} s", flush=True)
    return failed


def address(folder: Path, names: list[str], plain: bool) -> int:
    """Build everything here, then run it where the sanitizer is loaded before all else, as it must be."""
    texts = [source(case.kind) for case in cases(names, plain=plain)] + [softmax_source()]
    planted = [faulty(text, fault) for text in (*planted_in(texts, plain), texts[-1]) for fault in FAULTS]
    build(folder, texts + planted, CHECKED)
    # the sanitizer wraps what the C++ library throws with, and looks for it when it is loaded
    first = [_library(name) for name in ("libasan.so", "libstdc++.so")]
    environment = os.environ | {
        "LD_PRELOAD": ":".join(first),
        "PYTHONPATH": os.pathsep.join([str(HERE.parent / "support"), *filter(None, sys.path)]),
        "ASAN_OPTIONS": "detect_leaks=0:exitcode=99",
        "UBSAN_OPTIONS": "print_stacktrace=1:exitcode=99",
    }
    command = [sys.executable, str(HERE / "address.py"), str(folder), "plain" if plain else "all", *names]
    return subprocess.run(command, env=environment).returncode


def _library(name: str) -> str:
    found = subprocess.run(["gcc", f"-print-file-name={name}"], capture_output=True, text=True, check=True)
    return found.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
