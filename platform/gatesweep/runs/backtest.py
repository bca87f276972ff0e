"""Rolling-origin evaluation: the same settings trained again and again, each time on a longer past (Tashman 2000).

    fold k of K, test share s, val share v, counted from the end of the series:
        test [1 - (K - k + 1) s, 1 - (K - k) s)      val: the v before it      train: everything before that

Each fold is a run of its own, with its own scaler and its own choice between epochs: nothing that a fold is scored on
was there when its model was made (walk-forward).
"""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from gatesweep.config.loader import override
from gatesweep.errors import ConfigError
from gatesweep.runs.experiment import ExperimentConfig, experiment_from
from gatesweep.runs.training import Listener, run

if TYPE_CHECKING:
    import pandas as pd

    from gatesweep.track.store import Store


@dataclass(frozen=True)
class Fold:
    """One training of a backtest."""

    fold: int
    run_id: str
    splits: dict[str, float]
    metrics: dict[str, float]
    baseline: dict[str, Any]


@dataclass(frozen=True)
class Backtest:
    """What `gatesweep backtest --json` prints."""

    folds: tuple[Fold, ...]

    @property
    def mean(self) -> dict[str, float]:
        """Of every test metric that all folds have."""
        return _mean([fold.metrics for fold in self.folds])

    @property
    def baseline(self) -> dict[str, Any]:
        """`name` and mean `metrics` of the folds' baselines; their names, where the folds have several."""
        names = dict.fromkeys(str(fold.baseline["name"]) for fold in self.folds)
        return {"name": ", ".join(names), "metrics": _mean([fold.baseline["metrics"] for fold in self.folds])}

    def table(self) -> pd.DataFrame:
        """One row a fold: its run, the model's test metrics, and the baseline's as `baseline/mae`."""
        import pandas as pd

        rows = [{"fold": fold.fold, "run_id": fold.run_id, **_tested(fold.metrics),
                 **{f"baseline/{name}": value for name, value in _tested(fold.baseline["metrics"]).items()}}
                for fold in self.folds]  # fmt: skip
        return pd.DataFrame(rows)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"folds": [asdict(fold) for fold in self.folds], "mean": self.mean, "baseline": self.baseline}


def shares(folds: int, test: float, val: float) -> list[dict[str, float]]:
    """The splits of each fold, in the order of time.

    Raises:
        ConfigError: nothing is left to train the first fold on.
    """
    first = 1 - folds * test - val
    if folds < 1 or first <= 0:
        raise ConfigError(f"{folds} folds of {test:g} and {val:g} for val leave {first:g} of the series to train on",
                          place="backtest", hint="fewer folds, or smaller shares")  # fmt: skip
    return [{"train": round(first + k * test, 12), "val": val, "test": test} for k in range(folds)]


def backtest(config: ExperimentConfig, store: Store, *, folds: int = 4, test: float = 0.1, val: float = 0.1,
             listener: Listener | None = None) -> Backtest:  # fmt: skip
    """Train and score every fold.

    Args:
        test: share of the series that each fold is scored on.
        val: share before it that chooses between epochs.

    Raises:
        ConfigError: a task whose data are not split by time.
    """
    if config.task != "forecasting" or getattr(config.data, "name", None) == "ett":
        raise ConfigError("a backtest needs data that are split by time, by shares", place="backtest",
                          hint="task: forecasting, with data.splits")  # fmt: skip
    done = []
    for number, splits in enumerate(shares(folds, test, val), start=1):
        said = [f"data.splits.{name}={value}" for name, value in splits.items()]
        one = experiment_from(override(config.as_dict(), said), place=f"backtest: fold {number}")
        result = run(one, store, listener)
        done.append(Fold(number, result.run_id, splits, result.metrics, result.baseline))
    return Backtest(tuple(done))


def _tested(metrics: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if name.startswith("test/")}


def _mean(folds: list[dict[str, float]]) -> dict[str, float]:
    names = [name for name in folds[0] if name.startswith("test/") and all(name in each for each in folds)]
    return {name: statistics.mean(each[name] for each in folds) for name in names}
