"""The room's functions on the home folder's store: `gatesweep.reproduce`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from gatesweep.config.places import find_root, home
from gatesweep.errors import UserError

if TYPE_CHECKING:
    from gatesweep.reproduce.reproduce import Reproduction
    from gatesweep.reproduce.sweeps import SweepReproduction
    from gatesweep.track.store import Store


def store_here() -> Store:
    """The home folder's tracking store, or the server that MLFLOW_TRACKING_URI names."""
    from gatesweep.track.store import open_store

    return open_store(home(find_root()))


def reproduce(name: str, *, epochs: int | None = None, here: bool = False, tolerance: float | None = None,
              python: str | None = None, strict: bool = False,
              say: Callable[[str], None] = lambda line: None) -> Reproduction | SweepReproduction:  # fmt: skip
    """Train a run again, or every trial of a sweep, from its commit, data and settings, and compare.

    Args:
        name: RUN as everywhere, or a sweep's id.
        epochs: of a run, the first ones alone.
        here: with the code of the working folder.
        python: another interpreter; `strict`: that of an environment which is built from the lock.

    Returns:
        `.verdict` is bitwise, within_tolerance or diverged; of a run, `.judged.first` is the first value that differs.

    Raises:
        UserError: before any training: what is needed and cannot be had.
    """
    from gatesweep.reproduce.reproduce import TOLERANCE
    from gatesweep.reproduce.reproduce import reproduce as train_again
    from gatesweep.reproduce.sweeps import is_sweep, reproduce_sweep

    store, root = store_here(), find_root() or Path.cwd()
    tolerance = TOLERANCE if tolerance is None else tolerance
    if not is_sweep(name, store):
        return train_again(name, store, root=root, epochs=epochs, here=here, tolerance=tolerance, python=python,
                           strict=strict, say=say)  # fmt: skip
    if epochs is not None or python is not None or strict:
        raise UserError("a sweep is repeated whole, with this interpreter", place=name,
                        hint="name a trial for --epochs, --env and --python: <sweep_id>/t0007")  # fmt: skip
    return reproduce_sweep(name, store, root=root, here=here, tolerance=tolerance, say=say)
