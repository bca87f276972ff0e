"""`lock.json` and `diff.patch` of a run for whoever only looks: believed where they hash to what the run's tags say."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gatesweep.errors import NotFound
from gatesweep.track.addresses import LOCK_DIGEST
from gatesweep.track.lineage import told_in
from gatesweep.track.store import Store, StoredRun


@dataclass(frozen=True)
class LockFile:
    """What can be believed of them."""

    told: Mapping[str, Any] | None
    """None where there is no lock, or none to believe."""

    patch: bytes | None = None
    """The difference to the commit, where there was one and it is as it was."""

    why_not: str | None = None
    """What is wrong with the lock, or else with the patch."""


def lock_file(run: StoredRun, store: Store) -> LockFile:
    """Both artifacts of a run, held against its tags; a run of before there were such tags is believed."""
    raw = _bytes(run, store, "lock.json")
    if raw is None:
        return LockFile(None, why_not="has no lock.json")
    told = told_in(raw.decode(errors="replace"))
    if told is None:
        return LockFile(None, why_not="has a lock.json that is damaged")
    if run.tags.get(LOCK_DIGEST) not in (None, hashlib.sha256(raw).hexdigest()):
        return LockFile(None, why_not="has a lock.json that was altered after it was written")
    if not told["code"].get("patch"):
        return LockFile(told)
    patch, wanted = _bytes(run, store, "diff.patch"), told["code"].get("patch_sha256")
    if patch is None:
        return LockFile(told, why_not="has lost its diff.patch")
    if wanted not in (None, hashlib.sha256(patch).hexdigest()):
        return LockFile(told, why_not="has a diff.patch that was altered after it was written")
    return LockFile(told, patch)


def _bytes(run: StoredRun, store: Store, name: str) -> bytes | None:
    try:
        return store.artifact(run.run_id, name).read_bytes()
    except NotFound:
        return None
