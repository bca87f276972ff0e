"""Sweeps of which the tracking store does not say what their logs say, set right: their values sent, no run RUNNING.

A sweep is out of date there when its driver could not send everything (`unsent` in its place), or died and left runs
RUNNING. The log is not touched: a sweep that was killed stays resumable, its runs are KILLED until it goes on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gatesweep.errors import GatesweepError
from gatesweep.storage import Place, place
from gatesweep.sweep.overview import state_of
from gatesweep.sweep.reopen import FIRST, peek
from gatesweep.sweep.session import UNSENT, Say
from gatesweep.sweep.where import Where
from gatesweep.track.lease import is_held
from gatesweep.track.lineage import read_lock
from gatesweep.track.log import read
from gatesweep.track.projector import Projector
from gatesweep.track.store import Store

SETTLED = "settled"
"""A mark in the place of a sweep whose driver died: how many records its log had when its runs were closed."""


@dataclass(frozen=True)
class Stale:
    """A sweep of which the store may say something else than its log."""

    sweep_id: str
    why: str


def stale(home: Path, where: Where = Where()) -> list[Stale]:
    """Sweeps to be set right; those that somebody is running are left alone."""
    at = place(f"{(where.storage or str(home)).rstrip('/')}/sweeps")
    ids = sorted({name.split("/")[0] for name in at.names() if name.endswith(f"/{FIRST}")})
    found = []
    for sweep_id in ids:
        why = _why(at.child(sweep_id))
        if why:
            found.append(Stale(sweep_id, why))
    return found


def _why(at: Place) -> str | None:
    try:
        if is_held(at):
            return None
        if at.exists(UNSENT):
            return "the tracking store has not got everything"
        records = read(at)
        return "its driver died" if state_of(records) == "open" and not _is_settled(at, len(records)) else None
    except GatesweepError:
        return None  # a damaged log: `list` and `resume` say so


def _is_settled(at: Place, records: int) -> bool:
    """Whether nothing was written since it was set right."""
    return at.exists(SETTLED) and at.read(SETTLED) == str(records).encode()


def settle(sweep_id: str, home: Path, store: Store, say: Say, where: Where = Where()) -> int:
    """Bring the store to what the log says; returns how many records it still lacks."""
    ledger, at = peek(sweep_id, home, where)
    spec, records = ledger.spec, ledger.log.records
    patch = at.read("diff.patch").decode() if at.exists("diff.patch") else None
    lock, datasets = read_lock(at.read("lock.json").decode(), patch)
    projector = Projector(
        store, sweep_id, spec.name, spec.question, datasets=datasets, lock=lock, say=say,
        trial_config=lambda params, number: spec.trial_config(params, number).as_dict())  # fmt: skip
    projector.reconcile(records)
    state = state_of(records)
    if state == "open":
        projector.finish("stopped")
    unsent = projector.close()
    if not unsent:
        at.delete(UNSENT)
        if state == "open":
            at.write(SETTLED, str(len(records)).encode())
    return unsent


def settle_all(
    home: Path, open_store: Callable[[], Store], say: Say, where: Where = Where(), but: str = ""
) -> list[str]:
    """Every stale sweep but one; the ids of those that are right now. What cannot be set right is said."""
    done = []
    for found in stale(home, where):
        if found.sweep_id == but:
            continue
        try:
            if settle(found.sweep_id, home, open_store(), say, where) == 0:
                done.append(found.sweep_id)
        except GatesweepError as error:
            say(f"{found.sweep_id}: not set right in the tracking store: {error.message}")
    return done


def settle_beside(home: Path, open_store: Callable[[], Store], where: Where, but: str) -> threading.Thread:
    """`settle_all` in a thread of its own, beside a sweep that starts: it waits for nothing."""
    thread = threading.Thread(
        target=settle_all, args=(home, open_store, lambda line: None, where, but), name="gatesweep-settle", daemon=True
    )
    thread.start()
    return thread
