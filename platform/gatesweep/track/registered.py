"""From the address of a model in MLflow to the run that made it.

    models:/traffic/3    a version        models:/traffic@best    an alias
    models:/traffic/latest  the newest    models:/m-1a2b…         a logged model
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gatesweep.errors import NotFound
from gatesweep.track.stored import Refused, StoredRun
from gatesweep.track.vendor import public

if TYPE_CHECKING:
    from gatesweep.track.store import Store

MODELS = "models:/"
_ADDRESS = re.compile(r"models:/(?P<name>[^/@]+)(?:/(?P<version>\d+|latest)|@(?P<alias>[^/@]+))?")


def run_of_model(store: Store, address: str) -> StoredRun:
    """The run that a registered or logged model comes from.

    Raises:
        NotFound: no such address, no such model, or one that names no run.
    """
    parts = _ADDRESS.fullmatch(address)
    if parts is None:
        raise NotFound(f"'{address}' is no address of a model", hint="for example models:/traffic/3")
    try:
        run_id = store.model_run(parts["name"], parts["version"], parts["alias"])
    except Refused as error:
        raise NotFound(f"no model '{address}': {error.message}", place=public(store.uri),
                       hint="the Models page of gatesweep ui shows the names, versions and aliases") from error
    if not run_id:
        raise NotFound(f"the model '{address}' names no run", place=public(store.uri),
                       hint="it was registered from files, not from a run")
    return store.get_run(run_id)
