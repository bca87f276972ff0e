"""A trained model against the baseline on the same examples; the one place where the test split is looked at."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatesweep.runs.experiment import ExperimentConfig
from gatesweep.tasks.base import Task
from gatesweep.track.store import Point, Store
from gatesweep.train.score import load_weights, score

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Scored:
    """The best epoch's metrics, the same checkpoint on the test split, and the baseline on both."""

    metrics: dict[str, float]
    baseline: dict[str, Any]
    figures: dict[str, Figure]
    fresh: frozenset[str]
    """Metrics that no epoch has reported: those of the test split."""

    def log(self, store: Store, run_id: str, epoch: int) -> None:
        """Put test metrics, the baseline and the figures on a run."""
        now = int(time.time() * 1000)
        points = [Point(name, value, now, epoch) for name, value in self.metrics.items() if name in self.fresh]
        points += [Point(f"baseline/{name}", value, now, epoch) for name, value in self.baseline["metrics"].items()]
        tags = {"gatesweep.best_epoch": str(epoch), "gatesweep.baseline": self.baseline["name"]}
        store.log_batch(run_id, metrics=points, tags=tags)
        with tempfile.TemporaryDirectory() as folder:
            store.log_artifacts(run_id, self.save_figures(Path(folder)), "figures")

    def save_figures(self, folder: Path) -> Path:
        """Every figure as PNG in `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, figure in self.figures.items():
            figure.savefig(folder / f"{name}.png", dpi=120)
        return folder


def score_best(task: Task, config: ExperimentConfig, checkpoint: Path, metrics: dict[str, float]) -> Scored:
    """Load the best checkpoint and score it once on the test split; where there is none, on val again, of which a task
    may report more than while it trains."""
    load_weights(task.module, checkpoint)
    trainer = config.trainer
    there = tuple(split for split in ("val", "test") if split in getattr(task, "splits", ("val", "test")))
    tested = score(task, there[-1], precision=trainer.precision, accelerator=trainer.accelerator)
    fresh = frozenset(tested) - frozenset(metrics)
    return Scored({**metrics, **tested}, baseline_of(task, there), task.figures(there[-1]), fresh)


def statements_of(task: Task, split: str, path: Path | None = None) -> list[str]:
    """What the task says of its score in plain words, where it says anything."""
    say: Callable[[str, Path | None], list[str]] = getattr(task, "statements", lambda split, path: [])
    return say(split, path)


def account_of(task: Task, path: Path) -> list[str]:
    """What the task says it did to another file, where it says anything."""
    say: Callable[[Path], list[str]] = getattr(task, "account", lambda path: [])
    return say(path)


def baseline_of(task: Task, splits: tuple[str, ...], path: Path | None = None) -> dict[str, Any]:
    """`{name, metrics: {"test/mae": …}, candidates}` of the task's baseline on these splits."""
    found = {split: task.baseline(split, path) for split in splits}
    candidates: dict[str, dict[str, float]] = {}
    for split, baseline in found.items():
        for name, values in baseline.candidates.items():
            candidates.setdefault(name, {}).update(_named(split, values))
    metrics = {
        key: value for split, baseline in found.items() for key, value in _named(split, baseline.metrics).items()
    }
    return {"name": found[splits[-1]].name, "metrics": metrics, "candidates": candidates}


def _named(split: str, values: Mapping[str, float]) -> dict[str, float]:
    """`mae` -> `test/mae`."""
    return {f"{split}/{name}": float(value) for name, value in values.items()}
