"""`gatesweep.compare` and `gatesweep.seeds`: the room's functions on the home folder's store."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gatesweep.config.places import find_root, home

if TYPE_CHECKING:
    from gatesweep.reproduce.compare import Comparison
    from gatesweep.reproduce.spread import Seeds
    from gatesweep.runs.training import Listener
    from gatesweep.track.store import Store


def store_here() -> Store:
    """The home folder's tracking store, or the server that MLFLOW_TRACKING_URI names."""
    from gatesweep.track.store import open_store

    return open_store(home(find_root()))


def compare(*names: str, metric: str | None = None, out: str | Path | None = None) -> Comparison:
    """Runs, or seed groups, held against the first of them.

        found = gatesweep.compare("seeds:8f0c…", "seeds:77ab…", metric="test/mae")
        found.paired                        # a pandas DataFrame; also .config .environment .data .scores

    Args:
        names: RUN is a run's id, a trial's id or `best:<sweep_id>`; `seeds:RUN` all runs of RUN's seed group.
        metric: by default what the first run watched, on the test split where all have it.
        out: a folder for compare.md, scores.csv and curves.svg; none writes nothing.

    Raises:
        UserError: no such run, one alone, a metric that not all have, or no place for the folder.
    """
    from gatesweep.reproduce.compare import compare as hold
    from gatesweep.reproduce.tables import check_folder

    if out is not None:
        check_folder(Path(out))
    found = hold(names, store_here(), metric=metric)
    if out is not None:
        found.write(out)
    return found


def seeds(name: str, *, n: int = 5, overrides: Sequence[str] = (), listener: Listener | None = None) -> Seeds:
    """A run's configuration trained with `n` seeds, its own first: see `gatesweep.reproduce.seeds.seeds`.

    Returns:
        `.summary()` and `.table()` are pandas DataFrames; `.metrics` holds a value for each seed.
    """
    from gatesweep.reproduce.seeds import seeds as train_over

    return train_over(name, store_here(), n=n, overrides=overrides, listener=listener)


def folder_of(found: Comparison) -> Path:
    """Where the command line writes a comparison that is not told where to."""
    from gatesweep.config.digest import digest

    ids = [member.run.run_id for side in found.sides for member in side.members]
    few = [side.first.run.run_id[:8] for side in found.sides[:3]]
    grouped = "seeds-" if any(len(side.members) > 1 for side in found.sides) else ""
    return home(find_root()) / "comparisons" / f"{grouped}{'-'.join(few)}-{digest(ids)[:6]}"
