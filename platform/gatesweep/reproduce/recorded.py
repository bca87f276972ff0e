"""A run as its store has it, with everything that it takes to train it again; what was altered is refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gatesweep.config.changes import CHANGES
from gatesweep.config.yaml_file import parse, read_mapping
from gatesweep.errors import NotFound, UserError
from gatesweep.reproduce.verdict import Values
from gatesweep.runs.lookup import find
from gatesweep.track.addresses import CONFIG_DIGEST, KIND, LOCK_DIGEST, OUTCOME, SWEEP_ID, TRIAL_ID
from gatesweep.track.dress import as_yaml
from gatesweep.track.lineage import Lock, LockedSet, read_lock
from gatesweep.track.store import Store, StoredRun


@dataclass(frozen=True)
class Recorded:
    """A run and everything that is needed to train it again."""

    run: StoredRun
    lock: Lock
    told: Mapping[str, Any]
    sets: tuple[LockedSet, ...]
    values: Values

    @property
    def trained(self) -> int:
        """Epochs that it recorded."""
        return trained(self.values)

    @property
    def copied_after(self) -> int:
        """The epoch after which a sweep's trial took another's weights, the last time; 0: it never did. Its
        configuration trains the epochs of all who led to them; its own up to there led nowhere."""
        changes = self.lock.config.get(CHANGES)
        return int(changes[-1]["after_epoch"]) if changes and TRIAL_ID in self.run.tags else 0

    @property
    def path(self) -> str | None:
        """What its configuration calls `data.path`."""
        data = self.lock.config.get("data")
        return data.get("path") if isinstance(data, Mapping) else None


def trained(values: Values) -> int:
    """The last epoch that has values."""
    return max((step for metric, step in values if metric.startswith(("train/", "val/"))), default=0)


def read(name: str, store: Store) -> Recorded:
    """What the store has of a run.

    Raises:
        NotFound: there is no such run, or it was not recorded by gatesweep.
        UserError: it is still going on, trained nothing, or its lock was altered.
    """
    run = find(name, store)
    if run.tags.get(KIND) == "sweep":
        sweep_id = run.tags.get(SWEEP_ID, "<sweep_id>")
        raise UserError(f"is the sweep {sweep_id}, not a training", place=f"run {run.run_id}",
                        hint=f"gatesweep reproduce {sweep_id} repeats all of it, best:{sweep_id} its best trial")
    text, lock, sets = _lock_of(run, store)
    _refuse_altered(run, text, lock)
    if read_mapping(store.artifact(run.run_id, "config.yaml")) != parse(as_yaml(lock.config), "lock.json"):
        raise UserError("was altered after it was written: lock.json has another configuration",
                        place=f"run {run.run_id}: config.yaml", hint="restore the artifact from a backup of the store")
    for tag in (LOCK_DIGEST, CONFIG_DIGEST, *((OUTCOME,) if run.status != "RUNNING" else ())):
        if tag not in run.tags:
            raise UserError(f"has lost its tag {tag}, without which its numbers prove nothing",
                            place=f"run {run.run_id}", hint="restore the tracking store from a backup")
    if run.status == "RUNNING":
        raise UserError("is still going on", place=f"run {run.run_id}", hint="wait until it has ended")
    values = {(point.key, point.step): point.value for key in run.metrics for point in store.history(run.run_id, key)}
    found = Recorded(run, lock, json.loads(text), tuple(sets), values)
    if not found.trained:
        why = run.tags.get(OUTCOME, "its outcome is not known")
        raise UserError(f"recorded not one epoch ({why}): there is nothing to compare", place=f"run {run.run_id}")
    return found


def _lock_of(run: StoredRun, store: Store) -> tuple[str, Lock, list[LockedSet]]:
    try:
        text = store.artifact(run.run_id, "lock.json").read_text(encoding="utf-8")
    except NotFound as error:
        raise NotFound("has no lock.json: it was not recorded by gatesweep, or the artifact is gone",
                       place=f"run {run.run_id}", hint="gatesweep list --runs shows the runs") from error  # fmt: skip
    except ValueError as error:
        raise _unreadable(run, "is no UTF-8") from error
    try:
        patched = json.loads(text)["code"]["patch"]
        patch = store.artifact(run.run_id, "diff.patch").read_bytes().decode() if patched else None
        return text, *read_lock(text, patch)
    except NotFound as error:
        raise NotFound("has no diff.patch, and its lock says that the tree was dirty: the code cannot be had again",
                       place=f"run {run.run_id}", hint="restore the artifact from a backup of the store") from error
    except json.JSONDecodeError as error:
        raise _unreadable(run, f"is no JSON from line {error.lineno} on") from error
    except KeyError as error:
        raise _unreadable(run, f"lacks {error}") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise _unreadable(run, "is no lock of a run") from error


def _unreadable(run: StoredRun, why: str) -> UserError:
    return UserError(why, place=f"run {run.run_id}: lock.json",
                     hint="was the artifact altered? restore it from a backup of the store")


def _refuse_altered(run: StoredRun, text: str, lock: Lock) -> None:
    """The tags hold what the files must hash to."""
    wanted, digest = run.tags.get(LOCK_DIGEST), hashlib.sha256(text.encode()).hexdigest()
    told = json.loads(text)["config_digest"]
    altered = ["lock.json"] * (wanted not in (None, digest) or not lock.config_digest == told == run.tags.get(
        CONFIG_DIGEST, told))  # fmt: skip
    patched = json.loads(text)["code"].get("patch_sha256")
    if patched and patched != hashlib.sha256((lock.diff or "").encode()).hexdigest():
        altered.append("diff.patch")
    if altered:
        raise UserError("was altered after it was written: its digest is another",
                        place=f"run {run.run_id}: {altered[0]}",
                        hint="restore the artifact from a backup of the store")  # fmt: skip


