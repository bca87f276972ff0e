"""A run's origin: its sweep, its code, its data, and the commands that bring each of them back.

What is told comes from the run's own `lock.json` and tags; whether the commit and the data are to be had here is asked
of git and of the files.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gatesweep.data.own import user_data
from gatesweep.data.pins import manifest, read_pins
from gatesweep.data.revisions import git
from gatesweep.errors import DataError
from gatesweep.reproduce.lock_file import lock_file
from gatesweep.track import addresses as names
from gatesweep.track.git import without_credentials
from gatesweep.track.vendor import public

if TYPE_CHECKING:
    from gatesweep.track.store import Store, StoredRun

Kind = Literal["run", "sweep", "model", "checkpoint"]


@dataclass(frozen=True)
class Code:
    """The source tree that a run was started from."""

    commit: str | None
    branch: str | None
    dirty: bool | None
    remote: str | None
    patch: str | None
    """Where the difference to the commit lies; None of a clean tree."""
    here: bool
    """Whether this repository has the commit."""
    why_not: str | None
    """Why there is no commit."""


@dataclass(frozen=True)
class DataUsed:
    """A set, or a user's own file, that a run read."""

    name: str
    md5: str
    path: str
    set: str | None
    """The set of `data.dvc` that it is, or belongs to; None of a file elsewhere."""
    state: Literal["pinned", "same", "other", "absent"]
    """pinned: the working tree's `data.dvc` has this very version; else of what lies at `path`: as then, altered, or
    not there."""


@dataclass(frozen=True)
class RunTrace:
    """Where a run comes from."""

    given: str
    kind: Kind
    run_id: str
    name: str
    status: str
    outcome: str | None
    store: str
    trial_id: str | None
    sweep_id: str | None
    parent_run_id: str | None
    config_digest: str | None
    code: Code
    data: tuple[DataUsed, ...]
    commands: tuple[str, ...]
    """In this order: the code, the data, the run again."""
    locked: bool
    """Whether it has a `lock.json` to be believed; without one the tags alone speak, and it cannot be had again."""
    why_not: str | None = None
    """What is wrong with its lock or its patch."""

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self)


def trace_run(run: StoredRun, store: Store, *, given: str, kind: Kind, root: Path | None) -> RunTrace:
    """Everything that the store tells of a run's origin."""
    found = lock_file(run, store)
    lock = found.told or {}
    code = _code(run, lock, found.patch is not None, store, root or Path.cwd())
    data = tuple(_used(each, root) for each in lock.get("data") or _told_by_mlflow(run))
    tags = run.tags
    return RunTrace(given, kind, run.run_id, run.name, run.status, tags.get(names.OUTCOME), public(store.uri),
                    tags.get(names.TRIAL_ID), tags.get(names.SWEEP_ID), tags.get(names.PARENT),
                    tags.get(names.CONFIG_DIGEST), code, data, _commands(run, code, data, whole=found.why_not is None),
                    bool(lock), found.why_not)


def _told_by_mlflow(run: StoredRun) -> list[dict[str, Any]]:
    return [{"name": name, "md5": md5, "path": f"data/{name}"} for name, md5 in run.datasets.items()]


def _code(run: StoredRun, lock: Mapping[str, Any], patched: bool, store: Store, here: Path) -> Code:
    told = lock.get("code") or {}
    commit = told.get("commit") or run.tags.get(names.COMMIT)
    patch = str(store.artifact(run.run_id, "diff.patch")) if patched else None
    there = commit is not None and git(here, "cat-file", "-e", f"{commit}^{{commit}}") is not None
    remote = told.get("remote")
    return Code(commit, told.get("branch"), told.get("dirty"), without_credentials(remote) if remote else None, patch,
                there, told.get("why_not") if commit is None else None)


def _used(told: dict[str, Any], root: Path | None) -> DataUsed:
    name, md5, path = str(told["name"]), str(told["md5"]), str(told.get("path", ""))
    set_ = _set_of(path, md5)
    if root is not None and set_ is not None and _is_pinned(set_, path, md5, root):
        return DataUsed(name, md5, path, set_, "pinned")
    try:
        found = user_data((root or Path.cwd()) / path).md5
    except DataError:
        return DataUsed(name, md5, path, set_, "absent")
    return DataUsed(name, md5, path, set_, "same" if found == md5 else "other")


def _set_of(path: str, md5: str) -> str | None:
    """`traffic` of `data/traffic` and of `data/traffic/a.csv`."""
    parts = Path(path).parts
    return parts[1] if parts[:1] == ("data",) and (len(parts) > 2 or md5.endswith(".dir")) else None


def _is_pinned(name: str, path: str, md5: str, root: Path) -> bool:
    pin = read_pins(root).get(name)
    if pin is None or pin.md5 == md5:
        return pin is not None
    inside = "/".join(Path(path).parts[2:])
    return (manifest(pin, root) or {}).get(inside) == md5


def _commands(run: StoredRun, code: Code, data: tuple[DataUsed, ...], *, whole: bool) -> tuple[str, ...]:
    """What to type, in this order; `reproduce` does all of it in a folder of its own."""
    told = []
    if code.commit:
        if not code.here:
            told.append(f"git fetch {shlex.quote(code.remote)}" if code.remote else "git fetch --all")
        told.append(f"git checkout {code.commit}")
        if code.patch:
            told.append(f"git apply {shlex.quote(code.patch)}")
    sets = dict.fromkeys(each.set for each in data if each.set)
    if sets:
        told.append(f"gatesweep data pull {' '.join(map(shlex.quote, sets))}")
    if whole:
        is_sweep = run.tags.get(names.KIND) == "sweep"
        told.append(f"gatesweep reproduce {run.tags[names.SWEEP_ID] if is_sweep else run.run_id}")
    return tuple(told)
