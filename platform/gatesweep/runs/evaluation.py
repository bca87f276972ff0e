"""Score a run again, on any split or on data that it never saw; load what it learnt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gatesweep.config.places import check_target
from gatesweep.errors import ConfigError, DataError
from gatesweep.runs.build import prepare
from gatesweep.runs.initial import restorable
from gatesweep.runs.lookup import checkpoint_of, config_of, find
from gatesweep.runs.scoring import account_of, baseline_of, statements_of
from gatesweep.tasks.base import Task, TaskModule
from gatesweep.track.store import Store
from gatesweep.train.score import load_weights, score

SPLITS = ("train", "val", "test", "all")


@dataclass(frozen=True)
class Evaluation:
    """What `gatesweep evaluate --json` prints."""

    run_id: str
    split: str
    metrics: dict[str, float]
    baseline: dict[str, Any]
    predictions: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)


def restore(name: str, store: Store, say: Callable[[str], None] = lambda line: None) -> tuple[str, Task]:
    """The run's id and its task, data loaded, the kept checkpoint's weights in the module.

    Raises:
        NotFound: no such run, or it kept no checkpoint.
        DataError: its data is missing or altered.
    """
    run = find(name, store)
    config, checkpoint = config_of(run, store), checkpoint_of(run, store)
    task, _ = prepare(restorable(config, checkpoint), say=say)
    for dataset in task.datasets:
        trained_on = run.datasets.get(dataset.name)
        if trained_on not in (None, dataset.md5):
            say(f"note: the run was trained on '{dataset.name}' {trained_on}, and {dataset.md5} is what is here")
    load_weights(task.module, checkpoint)
    task.module.eval()
    return run.run_id, task


def evaluate(
    name: str,
    store: Store,
    *,
    split: str,
    data: Path | None = None,
    predictions: Path | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Evaluation:
    """Metrics of a run's best checkpoint on a split, or on another file of the same layout, beside the baseline's.

    Args:
        data: a file that the run never saw; its numbers are scaled as the training data was.
        predictions: where to write every forecast beside its truth, as CSV; its folder is there.
    """
    if split not in SPLITS:
        raise ConfigError(f"'{split}' is no split", place="--split", hint=f"one of: {', '.join(SPLITS)}")
    if data is not None and not data.exists():
        raise DataError(
            "no such file", place=str(data), hint="--data takes a file of the layout that the run was trained on"
        )
    if predictions is not None:
        check_target(predictions)
    run_id, task = restore(name, store, say)
    for line in account_of(task, data) if data is not None else ():
        say(line)
    metrics = score(task, split, path=data)
    baseline = baseline_of(task, (split,), data)
    for line in statements_of(task, split, data):
        say(line)
    if predictions is not None:
        task.predictions(split, data).to_csv(predictions, index=False)
    return Evaluation(run_id, split, metrics, baseline, str(predictions) if predictions else None)


def load(name: str, store: Store) -> TaskModule:
    """The trained Lightning module of a run, ready to forecast."""
    return restore(name, store)[1].module
