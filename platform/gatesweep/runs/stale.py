"""Single runs whose process died: closed as KILLED in the tracking store, and still there to go on with."""

from __future__ import annotations

import json
import time
from pathlib import Path

from gatesweep.errors import NotFound
from gatesweep.track.addresses import OUTCOME, REASON
from gatesweep.track.holder import Holder
from gatesweep.track.records import STATUS
from gatesweep.track.store import Store

HOLDER = "holder.json"


def hold(folder: Path) -> None:
    """This process trains the run of this folder."""
    (folder / HOLDER).write_text(json.dumps(Holder.myself().as_dict()))


def stale_runs(home: Path) -> list[str]:
    """Ids of runs that began here, are not over, and that nobody trains any more."""
    return sorted(path.parent.name for path in (home / "runs").glob(f"*/{HOLDER}") if _is_dead(path))


def _is_dead(path: Path) -> bool:
    try:
        return Holder.of(json.loads(path.read_text())).is_dead
    except (ValueError, KeyError, OSError):  # cut by a death, or gone meanwhile
        return False


def close_run(store: Store, run_id: str) -> bool:
    """Close one; whether it was still RUNNING.

    Raises:
        StoreError: the store does not answer.
    """
    try:
        if store.get_run(run_id).status != "RUNNING":
            return False
    except NotFound:  # of another store
        return False
    tags = {OUTCOME: "stopped", REASON: f"its process died; gatesweep resume {run_id} goes on"}
    store.log_batch(run_id, tags=tags)
    store.set_terminated(run_id, STATUS["stopped"], int(time.time() * 1000))
    return True
