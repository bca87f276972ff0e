"""Native code for this machine: C source compiled once, kept by its content, loaded by every process that asks.

    library(source, name)        a second or two where nobody asked before on this kind of machine, else a millisecond

A library's file name holds the digest of the source, the flags and the processor's instruction sets, so that an old or
foreign one is never loaded; each process that compiles writes to a name of its own and renames, so that a half-written
one is not either. They lie in `cache/kernels` of the home folder; a folder that GATESWEEP_KERNELS names (an image's,
filled beforehand, perhaps read-only) is looked into first. Where none is for this very processor, one for a level of
instruction sets that it has (`levels.py`) serves before anything is compiled: an image holds those, and runs on
machines that its builder never saw. The compiler is what CC names, else cc, gcc or clang.

No -ffast-math: it would set flush-to-zero for the whole process, and sums would depend on the compiler's mood.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from gatesweep.cells.levels import had
from gatesweep.config.places import home

NATIVE = "-march=native"
FLAGS = ("-std=gnu11", "-O3", NATIVE, "-fno-math-errno", "-fno-trapping-math", "-fPIC", "-shared")
CANDIDATES = ("cc", "gcc", "clang")
TIMEOUT_S = 120


class NoCompiler(Exception):
    """No compiler, or one that cannot do it; the message says which and why. The cells then run on torch alone."""


@lru_cache
def library(source: str, name: str) -> ctypes.CDLL:
    """The compiled source, loaded; a call into it lets other threads of Python run.

    Raises:
        NoCompiler: it is in no folder yet and cannot be compiled here.
    """
    return ctypes.CDLL(str(built(source, name)))


def built(source: str, name: str, level: str | None = None) -> Path:
    """The library's file, compiled if need be.

    Args:
        name: starts the file's name, for whoever reads the folder.
        level: of `levels.py`, whatever this processor has. None: the best for this processor.

    Raises:
        NoCompiler: it is in no folder yet and cannot be compiled here.
    """
    file = f"{name}-{_digest(source, level)}.so"
    if level is None:
        shared = (f"{name}-{_digest(source, each)}.so" for each in had(processor().split()))
        found = (folder / one for one in (file, *shared) for folder in _folders() if _loads(folder / one))
        if (library := next(found, None)) is not None:
            return library
    return kept(file, _loads, lambda target: _compile(source, target, level))


def kept(file: str, whole: Callable[[Path], bool], make: Callable[[Path], None]) -> Path:
    """The file of this name in the first folder of the cache that has it; else made, in the first that can be written.

    Args:
        whole: whether what stands at a path can be used as it is.
        make: writes the file under another name first, so that nobody sees half of it.
    """
    folders = _folders()
    for folder in folders:
        if whole(folder / file):
            return folder / file
    folder = next((folder for folder in folders if _writable(folder)), None) or _private()
    if not whole(folder / file):
        make(folder / file)
    return folder / file


def find() -> str | None:
    """The path of the C compiler that would be used, if there is one."""
    named = os.environ.get("CC")
    return next((path for name in ([named] if named else CANDIDATES) if (path := shutil.which(name))), None)


def works() -> str:
    """Compile a tiny function as the cells are compiled, load it and call it, leaving nothing behind.

    Returns:
        The path of the compiler that did it.

    Raises:
        NoCompiler: there is none, or it cannot do it.
    """
    with tempfile.TemporaryDirectory(prefix="gatesweep-compiler-") as folder:
        made = Path(folder, "check.so")
        _compile("#include <math.h>\ndouble twice_the_root(double x) { return 2 * sqrt(x); }\n", made)
        try:
            function = ctypes.CDLL(str(made)).twice_the_root
        except OSError as error:
            raise NoCompiler(f"{find()} makes libraries that do not load: {error}") from error
        function.argtypes, function.restype = [ctypes.c_double], ctypes.c_double
        if function(9.0) != 6.0:
            raise NoCompiler(f"{find()} makes libraries that compute twice the root of 9 as {function(9.0)}")
    return str(find())


def _loads(file: Path) -> bool:
    """Whether the library is there and whole; a damaged one is made anew."""
    try:
        ctypes.CDLL(str(file))
    except OSError:
        return False
    return True


def _folders() -> list[Path]:
    given = os.environ.get("GATESWEEP_KERNELS")
    return [*([Path(given)] if given else []), home() / "cache" / "kernels"]


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


@lru_cache
def _private() -> Path:
    """A folder for this process alone, where nothing else can be written."""
    return Path(tempfile.mkdtemp(prefix="gatesweep-kernels-"))


def _digest(source: str, level: str | None = None) -> str:
    return hashlib.sha256("\0".join((source, *_flags(level), level or processor())).encode()).hexdigest()[:16]


def _flags(level: str | None) -> tuple[str, ...]:
    return FLAGS if level is None else tuple(f"-march={level}" if flag == NATIVE else flag for flag in FLAGS)


@lru_cache
def processor() -> str:
    """What -march=native goes by: the architecture and, on Linux, the instruction sets."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    return next((line for line in lines if line.startswith(("flags", "Features"))), platform.machine())


def _compile(source: str, target: Path, level: str | None = None) -> None:
    compiler = find()
    if compiler is None:
        named = os.environ.get("CC")
        raise NoCompiler(f"CC names '{named}', which is not here" if named
                         else f"none of {', '.join(CANDIDATES)} is on the PATH")
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".compiling-") as folder:
        text, made = Path(folder, "source.c"), Path(folder, "library.so")
        text.write_text(source)
        command = [compiler, *_flags(level), str(text), "-o", str(made), "-lm"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise NoCompiler(f"{compiler}: {error}") from error
        if done.returncode != 0 or not made.is_file():
            said = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[0]
            raise NoCompiler(f"{compiler} cannot compile {target.name}: {said}")
        made.rename(target)
