"""The room's functions on the home folder's store: `gatesweep.reproduce`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from gatesweep.config.places import find_root, home

if TYPE_CHECKING:
    from gatesweep.reproduce.reproduce import Reproduction
    from gatesweep.track.store import Store


def store_here() -> Store:
    """The home folder's tracking store, or the server that MLFLOW_TRACKING_URI names."""
    from gatesweep.track.store import open_store

    return open_store(home(find_root()))


def reproduce(name: str, *, epochs: int | None = None, here: bool = False, tolerance: float | None = None,
              say: Callable[[str], None] = lambda line: None) -> Reproduction:  # fmt: skip
    """Train a run again, from its commit, data and settings, and compare: see `gatesweep.reproduce.reproduce`.

    Returns:
        `.verdict` is bitwise, within_tolerance or diverged; `.judged.first` the first value that differs.
    """
    from gatesweep.reproduce.reproduce import TOLERANCE
    from gatesweep.reproduce.reproduce import reproduce as train_again

    return train_again(name, store_here(), root=find_root() or Path.cwd(), epochs=epochs, here=here,
                       tolerance=TOLERANCE if tolerance is None else tolerance, say=say)  # fmt: skip
