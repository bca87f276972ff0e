"""gatesweep doctor: whether this machine can do what gatesweep will ask of it, and what to do where it cannot."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import typer

from gatesweep.config.places import find_root, home
from gatesweep.errors import EXIT_OK, EXIT_VERDICT, GatesweepError

Level = Literal["ok", "warn", "fail"]

LOW_DISK_BYTES, LITTLE_DISK_BYTES = 2**30, 5 * 2**30
INSTALL = "make install, in the checkout"
INSTALLERS = ("pip", "setuptools")
FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_tile", "amx_bf16")
"""The instruction sets that decide which kernels run."""


class Finding(NamedTuple):
    """What one check found."""

    level: Level
    found: str
    remedy: str | None = None


@dataclass(frozen=True)
class Line:
    """One line of the report: `remedy` says what to do where `level` is not ok."""

    check: str
    level: Level
    found: str
    remedy: str | None


Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


Fix = Annotated[bool, typer.Option("--fix", help="Set the tracking store right where runs died or were not sent.")]


def doctor(as_json: Json = False, fix: Fix = False) -> None:
    """Check this machine, and say what to do.

    Python, versions against the lock, disk, processors, Ray, the store, its runs, DVC, the data, a compiler. Exit code
    3 if something is broken. With --fix, runs that a dead process left RUNNING are closed, and values that the
    tracking store did not take are sent.
    """
    if fix:
        _mend()
    lines = list(examine())
    failed = any(line.level == "fail" for line in lines)
    if as_json:
        typer.echo(json.dumps({"ok": not failed, "checks": [asdict(line) for line in lines]}, indent=2))
    elif sys.stdout.isatty():
        _table(lines)
    else:
        typer.echo("\n".join(_plain(line) for line in lines))
    raise typer.Exit(EXIT_VERDICT if failed else EXIT_OK)


def examine() -> Iterator[Line]:
    """Every check in turn; a check that breaks is a line too."""
    for name, check in CHECKS.items():
        try:
            finding = check()
        except GatesweepError as error:
            finding = Finding("fail", f"{error.place}: {error.message}" if error.place else error.message, error.hint)
        except Exception as error:  # whatever a vendor raises on a broken machine is what the user came to read
            finding = Finding("fail", f"{type(error).__name__}: {error}", INSTALL)
        yield Line(name, *finding)


def _python() -> Finding:
    return Finding("ok", f"{sys.version.split()[0]} at {sys.executable}")


def _versions() -> Finding:
    missing = [name for name in _required() if _installed(name) is None]
    if missing:
        return Finding("fail", f"not installed: {', '.join(missing)}", INSTALL)
    lock = Path(__file__).resolve().parents[3] / "constraints.txt"
    if not lock.is_file():
        return Finding("ok", "installed outside a checkout: there is no lock to compare with")
    pins = read_lock(lock.read_text(encoding="utf-8"))
    here = {name: _installed(name) for name in pins if name not in INSTALLERS}
    other = [f"{name} {is_} (lock: {pins[name]})" for name, is_ in here.items() if is_ not in (None, pins[name])]
    if other:
        return Finding("warn", "not as locked: " + ", ".join(other), INSTALL)
    return Finding("ok", f"{sum(version is not None for version in here.values())} packages as {lock.name} says")


def read_lock(text: str) -> dict[str, str]:
    """Package -> version, from the lines `name==version`."""
    return {found[1]: found[2] for found in re.finditer(r"^([\w.\-]+)==(\S+)$", text, re.MULTILINE)}


def _required() -> list[str]:
    """The packages that running needs, none of an extra."""
    try:
        requires = metadata.requires("gatesweep") or []
    except metadata.PackageNotFoundError:  # on PYTHONPATH, not installed
        return []
    return [re.split(r"[^\w.\-]", each, maxsplit=1)[0] for each in requires if "extra ==" not in each]


def _installed(name: str) -> str | None:
    """The version without its local suffix: torch 2.13.0+cpu is torch 2.13.0 of another build."""
    try:
        return metadata.version(name).partition("+")[0]
    except metadata.PackageNotFoundError:
        return None


def _disk() -> Finding:
    folder = home()
    free = shutil.disk_usage(next(place for place in (folder, *folder.parents) if place.exists())).free
    found = f"{free / 2**30:.1f} GiB free for {folder}"
    remedy = "gatesweep clean, or name a roomier folder in GATESWEEP_HOME"
    if free < LOW_DISK_BYTES:
        return Finding("fail", found, remedy)
    return Finding("warn", found, remedy) if free < LITTLE_DISK_BYTES else Finding("ok", found)


def _cpu() -> Finding:
    from gatesweep.track.machine import machine

    facts = machine()
    flags = [flag for flag in FLAGS if flag in facts["cpu_flags"]]
    usable = f"{facts['cpus_usable']} of {facts['cpus']} usable"
    return Finding("ok", f"{usable}, {facts['cpu']}, {' '.join(flags) or facts['arch']}")


def _gpu() -> Finding:
    import torch

    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    if names:
        return Finding("ok", f"{', '.join(names)}; torch {torch.__version__}")
    if Path("/proc/driver/nvidia/version").exists():
        return Finding("warn", f"a driver is loaded, but torch {torch.__version__} sees no GPU",
                       "make clean, then make install TORCH_INDEX_URL=… with PyTorch's index for this driver")
    return Finding("ok", f"none: training runs on the CPU; torch {torch.__version__}")


def _ray() -> Finding:
    from gatesweep.sweep.cluster import can_start

    return Finding("ok", f"Ray {can_start()} started and stopped")


def _store() -> Finding:
    from gatesweep.track.check import check

    level, text = check(home())
    found, _, hint = text.partition(" hint: ")
    remedy = {"ok": None, "warn": "nothing to do by hand", "fail": hint or "GATESWEEP_HOME names another folder"}[level]
    return Finding(level, found, remedy)


def _runs() -> Finding:
    """Whether the store says what the logs say; only logs are read here."""
    from gatesweep.launch.mend import stale_there
    from gatesweep.runs.stale import stale_runs
    from gatesweep.sweep.reconcile import stale

    dead = [f"{found.sweep_id} ({found.why})" for found in [*stale(home()), *stale_there(home())]]
    dead += [f"run {run_id} (its process died)" for run_id in _open_runs(stale_runs(home()))]
    if dead:
        return Finding("warn", f"not right in the tracking store: {', '.join(dead)}", "gatesweep doctor --fix")
    return Finding("ok", "every sweep and run is in the tracking store as its log says")


def _open_runs(ids: list[str]) -> list[str]:
    """Those that the store still calls RUNNING."""
    if not ids:
        return []
    from gatesweep import api
    from gatesweep.errors import NotFound

    store, found = api.open_store(), []
    for run_id in ids:
        try:
            found += [run_id] if store.get_run(run_id).status == "RUNNING" else []
        except NotFound:
            continue
    return found


def _mend() -> None:
    """Close what died, send what was not sent; said line by line."""
    from gatesweep import api
    from gatesweep.cli.answer import answering, say
    from gatesweep.launch.mend import mend
    from gatesweep.runs.stale import close_run, stale_runs
    from gatesweep.sweep.reconcile import settle_all

    with answering():
        store = api.open_store()
        there = mend(home(), lambda where: api.open_store(where=where), say)
        for sweep_id in [*settle_all(home(), lambda: store, say), *there]:
            say(f"{sweep_id}: the tracking store says what its log says")
        for run_id in stale_runs(home()):
            if close_run(store, run_id):
                say(f"run {run_id}: closed; gatesweep resume {run_id} goes on with it")


def _remote() -> Finding:
    root = find_root()
    if root is None:
        return Finding("warn", "no data.dvc in this folder or above it", "cd into the checkout, or set GATESWEEP_ROOT")
    from gatesweep.data.store import is_tracked, open_repo

    if not is_tracked(root):
        return Finding("warn", f"{root} is no DVC repository: nothing is cached or shared", f"dvc init, in {root}")
    with open_repo(root) as repo:
        remote = repo.config["core"].get("remote")
    return Finding("ok", f"remote {remote}" if remote else "no remote is set: data is rebuilt from its sources")


def _data() -> Finding:
    from gatesweep.data.status import statuses

    found = statuses()
    text = ", ".join(f"{each.name} {each.state}" for each in found)
    altered = [each.name for each in found if each.state == "altered"]
    if altered:
        return Finding("fail", text, f"gatesweep data pull {' '.join(altered)} --force")
    return Finding("ok", f"{text}; what is absent is fetched when a run needs it" if "absent" in text else text)


def _compiler() -> Finding:
    from gatesweep.cells.compiler import NoCompiler, works

    try:
        path = works()
    except NoCompiler as error:
        return Finding("warn", f"the cells run on torch alone: {error}", "Debian: apt-get install gcc libc6-dev")
    return Finding("ok", f"{path} compiles what it should: {_version_line(path) or 'of no known version'}")


def _version_line(path: str) -> str | None:
    """The first line of `--version`; None where the program does not run."""
    try:
        said = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    return said.partition("\n")[0]


CHECKS: dict[str, Callable[[], Finding]] = {
    "Python": _python,
    "versions": _versions,
    "disk": _disk,
    "CPU": _cpu,
    "GPU": _gpu,
    "Ray": _ray,
    "store": _store,
    "runs": _runs,
    "DVC": _remote,
    "data": _data,
    "compiler": _compiler,
}


def _plain(line: Line) -> str:
    return f"{line.level:<5} {line.check:<9} {line.found}" + (f"\n{'':<15} -> {line.remedy}" if line.remedy else "")


def _table(lines: list[Line]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("", "check", "found", "what to do")
    colours = {"ok": "green", "warn": "yellow", "fail": "bold red"}
    for line in lines:
        level = f"[{colours[line.level]}]{line.level}[/]"
        table.add_row(level, line.check, escape(line.found), escape(line.remedy or ""))
    Console().print(table)
