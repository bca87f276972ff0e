"""A seed group: the runs of one configuration that differ in their seed alone, known by a tag.

    gatesweep.seed_group = sha256 of the configuration without seed, name and keep

`gatesweep seeds` gives its runs the tag, and the run that it began from where that one counts as one of them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from gatesweep.config.digest import digest
from gatesweep.errors import NotFound
from gatesweep.runs.lookup import config_of
from gatesweep.track.addresses import OUTCOME
from gatesweep.track.store import Store, StoredRun

TAG = "gatesweep.seed_group"
_NOT_THE_GROUP = ("seed", "name", "keep")


def group_of(config: Mapping[str, Any]) -> str:
    """The digest that runs of this configuration share, whatever their seed."""
    return digest({key: value for key, value in config.items() if key not in _NOT_THE_GROUP})


def is_completed(run: StoredRun) -> bool:
    """Trained to its end: not pruned, stopped, failed, or still going on."""
    return run.status == "FINISHED" and run.tags.get(OUTCOME, "completed") == "completed"


def tagged(group: str, store: Store) -> list[StoredRun]:
    """Every run of the group, oldest first, also those that are not over."""
    return store.search({TAG: group})


def seed_of(run: StoredRun, store: Store) -> int | None:
    """The seed of a run; a sweep's trial has it in its lock alone, among its parameters is what the sweep searched."""
    text = run.params.get("seed", "")
    if text.isdecimal():
        return int(text)
    try:
        lock = json.loads(store.artifact(run.run_id, "lock.json").read_text(encoding="utf-8"))
        return int(lock["config"]["seed"])
    except (NotFound, ValueError, KeyError, TypeError):
        return None


def members(run: StoredRun, store: Store) -> list[StoredRun]:
    """The group's completed runs on the same data, one for each seed, by seed: `run` itself, else the newest.

    A run without the tag counts where the group has none with its seed.

    Raises:
        NotFound: the run is of no group, for it has no configuration; or it has none that is completed.
    """
    group = run.tags.get(TAG) or group_of(config_of(run, store).as_dict())
    found: dict[int | None, StoredRun] = {}
    for each in tagged(group, store):
        if is_completed(each) and dict(each.datasets) == dict(run.datasets):
            found[seed_of(each, store)] = each
    seed = seed_of(run, store)
    if is_completed(run) and (TAG in run.tags or seed not in found):
        found[seed] = run
    found.pop(None, None)
    if not found:
        raise NotFound(f"the seed group of run {run.run_id} has no completed run", place=f"seeds:{run.run_id}",
                       hint=f"gatesweep seeds {run.run_id} --n 5 trains it over five seeds")
    return [found[seed] for seed in sorted(seed for seed in found if seed is not None)]


def others(run: StoredRun, store: Store) -> Sequence[StoredRun]:
    """Completed runs of the group that a run says it belongs to, without itself."""
    group = run.tags.get(TAG)
    return [] if group is None else [each for each in tagged(group, store)
                                     if each.run_id != run.run_id and is_completed(each)]
