"""Where something comes from, and what came of it.

    RUN, MODEL, checkpoint file   back to the run, its sweep, its commit and its data      (`trace_run`)
    data file or folder           forward to the sets that hold it and the runs that read it   (`trace_data`)

A file is known by its content alone, wherever it was copied: a checkpoint by its SHA-256 (`trace_checkpoint`), data by
their md5.
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from gatesweep.config.places import find_root
from gatesweep.errors import NotFound
from gatesweep.reproduce.trace_checkpoint import run_of_checkpoint, state_in
from gatesweep.reproduce.trace_data import DataTrace, lies_in_a_set, trace_data
from gatesweep.reproduce.trace_run import RunTrace, trace_run
from gatesweep.runs import lookup
from gatesweep.track.addresses import PARENT
from gatesweep.track.registered import MODELS, run_of_model

if TYPE_CHECKING:
    from gatesweep.track.store import Store

_SWEEP = re.compile(r"[a-z0-9][a-z0-9-]*$")


def trace(what: str, store: Store, *, root: Path | None = None) -> RunTrace | DataTrace:
    """The trace of a run, a registered model, a checkpoint or a file of data.

    Args:
        what: a run id, a trial id, `best:<sweep_id>`, a sweep's id, `models:/name/3`, or a path.
        root: the folder of `data.dvc`; by default looked for upward from here.

    Raises:
        NotFound: nothing here knows it; the message says what was looked at.
    """
    root = root or find_root()
    if what.startswith(MODELS):
        return trace_run(run_of_model(store, what), store, given=what, kind="model", root=root)
    path = Path(what).expanduser()
    if what and (_exists(path) or lies_in_a_set(path, root)):
        state = state_in(path) if is_checkpoint(path) else None
        if state is None:
            return trace_data(what, store, root)
        return trace_run(run_of_checkpoint(state, store), store, given=what, kind="checkpoint", root=root)
    sweep = next((run for run in store.runs_of(what) if PARENT not in run.tags), None) if _SWEEP.match(what) else None
    if sweep is not None:
        return trace_run(sweep, store, given=what, kind="sweep", root=root)
    try:
        return trace_run(lookup.find(what, store), store, given=what, kind="run", root=root)
    except NotFound as error:
        looks_like_a_path = "/" in what and not lookup.TRIAL.match(what)
        message = f"no such file, and {error.message}" if looks_like_a_path else error.message
        raise NotFound(message, place=error.place,
                       hint="a run of another store is found with MLFLOW_TRACKING_URI set to its address; "
                            f"{error.hint or 'gatesweep list --runs shows the runs of this one'}") from error


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # no name that a file could have
        return False


def is_checkpoint(path: Path) -> bool:
    """Whether it is a state that torch wrote, or a folder that holds one; by its content, whatever it is called."""
    if path.is_dir():
        return state_in(path) is not None
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/data.pkl") for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):  # of another kind, damaged, or not readable, which reading it will say
        return False
