"""What became of runs: trained again, compared, over seeds, traced."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gatesweep.api.places import here as home_here
from gatesweep.api.places import open_store
from gatesweep.config.places import find_root
from gatesweep.errors import ConfigError, UserError

if TYPE_CHECKING:
    from gatesweep.reproduce.compare import Comparison
    from gatesweep.reproduce.reproduce import Reproduction
    from gatesweep.reproduce.spread import Seeds
    from gatesweep.reproduce.sweeps import SweepReproduction
    from gatesweep.reproduce.trace_data import DataTrace
    from gatesweep.reproduce.trace_run import RunTrace
    from gatesweep.runs.training import Listener


def reproduce(name: str, *, epochs: int | None = None, here: bool = False, tolerance: float | None = None,
              python: str | Path | None = None, strict: bool = False, overrides: Sequence[str] = (),
              on: str | Path | None = None,
              say: Callable[[str], None] = lambda line: None) -> Reproduction | SweepReproduction:  # fmt: skip
    """Train a run again, or every trial of a sweep, from its commit, data and settings, and compare.

    Args:
        name: RUN as everywhere, or a sweep's id.
        epochs: of a run, the first ones alone.
        here: with the code of the working folder.
        python: another interpreter; `strict`: that of an environment which is built from the lock.
        overrides: `key=value` as `--set` takes them: what that changes, with everything else as it was.
        on: a cluster's file: there, and with its packages.

    Returns:
        `.verdict` is bitwise, within_tolerance or diverged; of a run, `.judged.first` is the first value that differs.

    Raises:
        UserError: before any training: what is needed and cannot be had.
    """
    from gatesweep.reproduce.reproduce import TOLERANCE, How
    from gatesweep.reproduce.reproduce import reproduce as train_again
    from gatesweep.reproduce.sweeps import is_sweep, reproduce_sweep

    _refuse_no_name(name)
    if isinstance(overrides, str):
        raise ConfigError("takes a list of KEY=VALUE", place="overrides", hint=f"overrides=[{overrides!r}]")
    store, root = open_store(), find_root() or Path.cwd()
    tolerance = TOLERANCE if tolerance is None else tolerance
    python = str(python) if isinstance(python, Path) else python
    how = How(epochs, tolerance, python, strict, tuple(overrides), Path(on) if on is not None else None)
    if not is_sweep(name, store):
        return train_again(name, store, how, root=root, here=here, say=say)
    if how != How(tolerance=tolerance):
        raise UserError("a sweep is repeated whole, here and with this interpreter", place=name,
                        hint="name a trial for --epochs, --on, --env, --python and --set: <sweep_id>/t0007")
    return reproduce_sweep(name, store, root=root, here=here, tolerance=tolerance, say=say)


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

    _refuse_no_name(*names, *([] if metric is None else [metric]))
    if out is not None:
        check_folder(Path(out))
    found = hold(names, open_store(), metric=metric)
    if out is not None:
        found.write(out)
    return found


def seeds(name: str, *, n: int = 5, overrides: Sequence[str] = (), listener: Listener | None = None) -> Seeds:
    """A run's configuration trained with `n` seeds, its own first: see `gatesweep.reproduce.seeds.seeds`.

    Returns:
        `.summary()` and `.table()` are pandas DataFrames; `.metrics` holds a value for each seed.
    """
    from gatesweep.reproduce.seeds import seeds as train_over

    _refuse_no_name(name)
    return train_over(name, open_store(), n=n, overrides=overrides, listener=listener)


def folder_of(found: Comparison) -> Path:
    """Where the command line writes a comparison that is not told where to."""
    from gatesweep.config.digest import digest

    ids = [member.run.run_id for side in found.sides for member in side.members]
    few = [side.first.run.run_id[:8] for side in found.sides[:3]]
    grouped = "seeds-" if any(len(side.members) > 1 for side in found.sides) else ""
    return home_here() / "comparisons" / f"{grouped}{'-'.join(few)}-{digest(ids)[:6]}"


def trace(what: str | Path) -> RunTrace | DataTrace:
    """A run, a model or a checkpoint back to its code and data; a file of data forward to its runs.

        gatesweep.trace("copied/state.ckpt").code.commit
        [user.run_id for user in gatesweep.trace("data/traffic/traffic.csv").runs]

    Args:
        what: a run id, a trial id, `best:<sweep_id>`, `models:/name/3`, or a path.

    Raises:
        NotFound: nothing here knows it; the message says what was looked at.
    """
    from gatesweep.reproduce.trace import trace as follow

    _refuse_no_name(str(what) if isinstance(what, Path) else what)
    return follow(str(what), open_store())


def _refuse_no_name(*names: object) -> None:
    """Python callers pass what the command line cannot."""
    for name in names:
        if not isinstance(name, str) or not name:
            raise UserError(f"{name!r} is no name", hint="a run id, <sweep_id>/t0007 or best:<sweep_id>, as text")
