"""What is compared: each side is a run, or all runs of a seed group, with what they left in the store.

    RUN         a run id | a trial id | best:<sweep_id>
    seeds:RUN   every completed run of RUN's seed group, one for each seed
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from gatesweep.errors import ConfigError, NotFound
from gatesweep.reproduce.differences import CONFIG, DATA
from gatesweep.reproduce.group import is_completed, members
from gatesweep.reproduce.lock_file import lock_file
from gatesweep.runs.lookup import find
from gatesweep.track.addresses import COMMIT, KIND, OUTCOME, SWEEP_ID, TRIAL_ID
from gatesweep.track.store import Store, StoredRun

GROUP = "seeds:"


@dataclass(frozen=True)
class Member:
    """One run and its lock; of a run without `lock.json`, as much of one as the store's own tags say."""

    run: StoredRun
    lock: Mapping[str, Any]
    locked: bool
    """Whether it has a `lock.json` to be believed, so that its environment is known."""

    why_not: str | None = None
    """What is wrong with its lock or its patch."""

    @property
    def config(self) -> Mapping[str, Any]:
        """The configuration; of a run of another program its parameters under dotted keys."""
        config: Mapping[str, Any] = self.lock.get(CONFIG) or {}
        return config

    @property
    def seed(self) -> int | None:
        """What random things followed from."""
        seed = self.config.get("seed")
        return seed if isinstance(seed, int) else None

    @property
    def task(self) -> str | None:
        """The task's name."""
        task = self.config.get("task")
        return task if isinstance(task, str) else None


@dataclass(frozen=True)
class Side:
    """A run or a seed group under the name that tables and pictures call it by."""

    name: str
    """As it was asked for."""

    label: str
    members: tuple[Member, ...]

    @property
    def first(self) -> Member:
        """The one that speaks for all where they agree by definition."""
        return self.members[0]


def sides_of(names: Sequence[str], store: Store) -> list[Side]:
    """Every name's runs.

    Raises:
        ConfigError: fewer than two names, or two for the same.
        NotFound: no such run, or a sweep in its place.
    """
    if len(names) < 2:
        raise ConfigError(f"{'one run alone has' if names else 'no runs have'} nothing to be compared with",
                          place="compare", hint="name two or more: gatesweep compare RUN RUN; seeds:RUN means all runs"
                                                " of RUN's seed group")
    sides = [_side(name, store) for name in names]
    for place, side in enumerate(sides):
        for other in sides[:place]:
            if _ids(side) == _ids(other):
                raise ConfigError(f"'{other.name}' and '{side.name}' are the same: {', '.join(_ids(side))}",
                                  place="compare", hint="name two that differ")
    return _told_apart(sides)


def _ids(side: Side) -> list[str]:
    return [member.run.run_id for member in side.members]


def _side(name: str, store: Store) -> Side:
    is_group = name.startswith(GROUP)
    run = find(name.removeprefix(GROUP), store)
    if run.tags.get(KIND) == "sweep":
        raise NotFound(f"run '{run.run_id}' is a sweep, not a training", place=name,
                       hint=f"its best trial is best:{run.tags.get(SWEEP_ID, '<sweep_id>')}")
    runs = members(run, store) if is_group else [run]
    short = run.tags.get(TRIAL_ID) or run.run_id[:8]
    return Side(name, f"{GROUP if is_group else ''}{short}", tuple(_member(each, store) for each in runs))


def _told_apart(sides: list[Side]) -> list[Side]:
    """Labels that are equal (two ids that begin alike) become the whole names."""
    labels = [side.label for side in sides]
    return [side if labels.count(side.label) == 1 else Side(side.name, side.name, side.members) for side in sides]


def _member(run: StoredRun, store: Store) -> Member:
    found = lock_file(run, store)
    if found.told is None:
        pins = [{"name": name, "md5": md5} for name, md5 in sorted(run.datasets.items())]
        return Member(run, {CONFIG: _config_without_lock(run, store), DATA: pins}, False, found.why_not)
    lock = found.told
    if lock["code"].get("patch"):  # two dirty trees of one commit are told apart by what was changed in them
        digest = str(lock["code"].get("patch_sha256") or hashlib.sha256(found.patch or b"").hexdigest())[:12]
        lock = {**lock, "code": {**lock["code"], "patch": f"sha256 {digest}"}}
    return Member(run, lock, True, found.why_not)


def _config_without_lock(run: StoredRun, store: Store) -> dict[str, Any]:
    text = _artifact(run, store, "config.yaml")
    try:
        config = None if text is None else yaml.safe_load(text)
    except yaml.YAMLError:
        config = None
    return config if isinstance(config, dict) else {key: _value(text) for key, text in run.params.items()}


def _value(text: str) -> Any:
    """A parameter is JSON where it can be, else the words that it is."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _artifact(run: StoredRun, store: Store, name: str) -> str | None:
    try:
        return store.artifact(run.run_id, name).read_bytes().decode(errors="replace")
    except NotFound:
        return None


def notes_of(sides: Sequence[Side]) -> list[str]:
    """What a reader has to know of the runs before believing their numbers."""
    notes = []
    for side in sides:
        for member in side.members:
            run = member.run
            if not is_completed(run):
                state = run.tags.get(OUTCOME) or run.status
                notes.append(f"run {run.run_id[:8]} is {state}: what it has reported is used, its best epoch so far")
            if not member.locked:
                commit = run.tags.get(COMMIT)
                known = f"; its commit is {commit[:12]}" if commit else ""
                notes.append(f"run {run.run_id[:8]} {member.why_not}: its environment is not known{known}")
            elif member.why_not:
                notes.append(f"run {run.run_id[:8]} {member.why_not}")
    return notes
