"""Where the interface reads and writes: the home folder and the tracking store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gatesweep.config.places import find_root, home

if TYPE_CHECKING:
    from gatesweep.sweep.where import Where
    from gatesweep.track.store import Store


def here() -> Path:
    """The home folder, where everything that runs write lies."""
    return home(find_root())


def open_store(*, must_answer: bool = True, where: Where | None = None) -> Store:
    """The tracking store of the home folder, or the server that `where` or MLFLOW_TRACKING_URI names."""
    from gatesweep.track import store

    return store.open_store(here(), where.tracking if where else None, must_answer=must_answer)
