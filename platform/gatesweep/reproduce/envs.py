"""An environment as a lock records it: every package in its version, in a venv of its own, built once.

    <home>/cache/environments/<digest of Python and packages>/    READY written last

pip asks whatever index it is configured to ask. Nothing is resolved: the lock names every package.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import gatesweep
from gatesweep.config.digest import digest
from gatesweep.errors import UserError

OURS = frozenset(("gatesweep", "pip"))
"""Not installed: the platform comes from the tree, or from where it runs now; pip brings itself."""

READY = "READY"
REQUIREMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9][A-Za-z0-9.!+_-]*")
"""Nothing else of a lock reaches pip: neither an option nor an address."""
TIMEOUT_S = 3600.0


def interpreter(packages: Mapping[str, str], python: str, home: Path, say: Callable[[str], None]) -> str:
    """The Python of an environment with these packages, built if it is not there.

    Args:
        packages: version by name, the whole of `packages` in a lock.
        python: as a lock names it, `CPython 3.11.9`.

    Raises:
        UserError: another Python is needed, or a package cannot be installed.
    """
    wanted, here = python.split()[-1].split(".")[:2], [str(number) for number in sys.version_info[:2]]
    if wanted != here:
        raise UserError(f"the run had {python}, and this is {'.'.join(here)}", place="--env strict",
                        hint=f"run this under Python {'.'.join(wanted)}, or name one with --python")  # fmt: skip
    if packages.get("gatesweep", gatesweep.__version__) != gatesweep.__version__:
        raise UserError(f"the run had gatesweep {packages['gatesweep']}, and this is {gatesweep.__version__}",
                        place="--env strict", hint=f"pip install gatesweep=={packages['gatesweep']}")  # fmt: skip
    pins = {name: version for name, version in packages.items() if name not in OURS}
    odd = [f"{name}=={version}" for name, version in pins.items() if not REQUIREMENT.fullmatch(f"{name}=={version}")]
    if odd:
        raise UserError(f"no package is called {odd[0]!r}", place="lock.json: packages", hint="was the lock altered?")
    folder = home / "cache" / "environments" / digest([here, pins])[:16]
    if not (folder / READY).is_file():
        say(f"building an environment of {len(pins)} packages in {folder}")
        _build(folder, pins)
    return str(folder / "bin" / "python")


NEEDED = ("torch", "pytorch_lightning", "mlflow", "dvc", "pandas", "pydantic", "typer")
_FINDS = "import sys, importlib.util as u; print(' '.join(n for n in sys.argv[1:] if u.find_spec(n) is None))"


def checked(python: str) -> str:
    """An interpreter that a user names.

    Raises:
        UserError: it is none, or lacks what a training imports.
    """
    try:
        done = subprocess.run([python, "-c", _FINDS, *NEEDED], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UserError(f"does not start: {getattr(error, 'strerror', None) or error}", place=f"--python {python}",
                        hint="name an interpreter, e.g. --python /opt/venv/bin/python") from error
    if done.returncode:
        said = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise UserError(f"is no Python that works: {said}", place=f"--python {python}",
                        hint="name an interpreter, e.g. --python /opt/venv/bin/python")
    if lacks := done.stdout.strip():
        raise UserError(f"lacks {lacks.replace(' ', ', ')}", place=f"--python {python}",
                        hint="--env strict builds an environment with the packages of the lock")
    return python


def _build(folder: Path, pins: Mapping[str, str]) -> None:
    """In its place at once, for a venv cannot be moved; one without its mark is begun anew."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    _call([sys.executable, "-m", "venv", str(folder)])
    wanted = folder / "requirements.txt"
    wanted.write_text("".join(f"{name}=={version}\n" for name, version in sorted(pins.items())))
    _call([str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-deps",
           "--disable-pip-version-check", "-r", str(wanted)])  # fmt: skip
    (folder / READY).touch()


def _call(words: list[str]) -> None:
    done = subprocess.run(words, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    if done.returncode:
        lines = [line for line in done.stderr.strip().splitlines() if line.startswith("ERROR")] or ["pip failed"]
        raise UserError(f"cannot be built: {lines[-1].removeprefix('ERROR: ')}", place="--env strict",
                        hint="without it, this environment is used, and what differs is listed")  # fmt: skip
