"""Forecasts of the committed experiments, one row each, kept as soon as its training is over.

    GATESWEEP_BENCH_DATA=... python benchmarks/tasks/forecasting.py [--resume] [--only NAME] [--seeds N] [--threads 1]

Traffic and energy are embedded; beside each stands gradient boosting on lags (lightgbm: `pip install
gatesweep[bench]`), scored on the very same windows. ETTh1 needs GATESWEEP_BENCH_DATA/ett/ETTh1.csv.
"""

from __future__ import annotations

import argparse
import resource
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rows import RESULTS, ROOT, Row, Rows, bench_data, row, train

EXPERIMENTS = ROOT / "configs" / "experiments"
PEER = "gradient boosting on lags"
SHOWN_AHEAD = ("test/mae", "test/mase")
SHOWN_ETT = ("val/mse", "test/mse", "test/mae")


@dataclass(frozen=True)
class Entry:
    """One row: an experiment and what others published for it."""

    experiment: str
    about: str
    show: tuple[str, ...] = SHOWN_AHEAD
    published: str = ""
    part: str = ""
    """File below GATESWEEP_BENCH_DATA."""

    overrides: tuple[str, ...] = ()
    peer: bool = False
    """Whether gradient boosting on lags is to be scored beside it."""


ETT = {96: ".375", 192: ".405", 336: ".439", 720: ".472"}
ENTRIES = {
    "traffic, a day ahead": Entry("traffic.yaml", "LSTM with calendar, holidays", peer=True),
    "energy, a day ahead": Entry("energy.yaml", "LSTM, residual to the same hour yesterday", peer=True),
    **{f"ETTh1, {horizon} hours ahead": Entry(
        "etth1.yaml", "seven series, one GRU over pieces of 48 hours; standardised values, chosen by val/mse",
        SHOWN_ETT, f"DLinear {mse} MSE", "ett/ETTh1.csv", (f"data.horizon={horizon}",),
    ) for horizon, mse in ETT.items()},
}  # fmt: skip


def boosted(name: str, entry: Entry, seed: int) -> Row:
    """Gradient boosting on what a forecaster of lags reads: one model over all steps ahead.

    Features of a step: its number, the same hour one and two days and one week before, the last values, the mean of the
    last day, the calendar and what else is known of the hour. The target is the difference to the experiment's
    baseline, the number of trees is chosen on val.
    """
    import lightgbm

    from gatesweep.data.fetch import ensure
    from gatesweep.runs.experiment import load_experiment
    from gatesweep.tasks.forecasting.baselines import seasonal_naive
    from gatesweep.tasks.forecasting.config import ForecastingData
    from gatesweep.tasks.forecasting.prepare import prepare
    from gatesweep.tasks.forecasting.source import read

    config = load_experiment(EXPERIMENTS / entry.experiment)
    assert isinstance(config.data, ForecastingData)
    before, started = _cpu_s(), time.perf_counter()
    dataset = ensure(str(config.data.name))
    made = prepare(read(dataset, config.data), config.data, place=dataset.name)
    values_N, truth_N, horizon = made.values_N, made.truth_N, config.data.horizon
    known_NE = made.table_ND[:, made.table_ND.shape[1] - made.known :].numpy()
    parts = {}
    for split in ("train", "val", "test"):
        origin_W = made.origins(split).numpy()
        naive_WF = seasonal_naive(values_N, origin_W, horizon, made.chosen_lag)
        x = np.concatenate([_features(values_N, known_NE, origin_W, step) for step in range(horizon)])
        parts[split] = (x, naive_WF.T.ravel(), truth_N[origin_W[:, None] + np.arange(horizon)].T.ravel())
    settings = {"objective": "l1", "learning_rate": 0.05, "num_leaves": 63, "min_data_in_leaf": 100, "seed": seed,
                "num_threads": 1, "verbose": -1, "deterministic": True}  # fmt: skip
    sets = {}
    for split, (x, naive, y) in parts.items():
        there = ~np.isnan(y)
        sets[split] = lightgbm.Dataset(x[there], y[there] - naive[there])
    sets["val"].reference = sets["train"]
    model = lightgbm.train(settings, sets["train"], 600, [sets["val"]],
                           callbacks=[lightgbm.early_stopping(30, verbose=False)])  # fmt: skip
    metrics: dict[str, float] = {}
    for split in ("val", "test"):
        x, naive, y = parts[split]
        metrics[f"{split}/mae"] = float(np.nanmean(np.abs(naive + model.predict(x) - y)))
        metrics[f"{split}/mase"] = metrics[f"{split}/mae"] / made.naive_error
    return row(f"{name}: {PEER}", about=f"lightgbm, {model.best_iteration} trees of 63 leaves", seed=seed,
               metrics=metrics, wall_s=time.perf_counter() - started, cpu_s=_cpu_s() - before, threads=1,
               experiment=str((EXPERIMENTS / entry.experiment).relative_to(ROOT)))  # fmt: skip


def _features(values_N: Any, known_NE: Any, origin_W: Any, step: int) -> Any:
    """What is known at the origin of the value `step` steps after it."""
    row_W = origin_W + step
    lags = [values_N[row_W - lag] for lag in (24, 48, 168) if lag > step]
    lags += [np.full(len(row_W), np.nan)] * (3 - len(lags))
    last = [values_N[origin_W - back] for back in (1, 2, 3, 24)]
    mean = values_N[origin_W[:, None] - np.arange(1, 25)].mean(axis=1)
    return np.column_stack([np.full(len(row_W), step), *lags, *last, mean, known_NE[row_W]])


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def path_of(part: str) -> Path:
    """A file below GATESWEEP_BENCH_DATA."""
    folder, _, file = part.partition("/")
    return bench_data(folder) / file


def main() -> None:
    """Train what is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resume", action="store_true", help="keep the rows that are there")
    parser.add_argument("--only", choices=ENTRIES, help="one row alone")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2, help="1 where the machine is shared: rows say how many")
    asked = parser.parse_args()
    rows = Rows(RESULTS / "forecasting.json", resume=asked.resume or asked.only is not None)
    for name, entry in ENTRIES.items():
        for seed in range(1, asked.seeds + 1):
            if asked.only not in (None, name):
                continue
            if not (asked.resume and rows.has(name, seed)):
                overrides = [f"trainer.threads={asked.threads}", *entry.overrides]
                overrides += [f"data.path={path_of(entry.part)}"] if entry.part else []
                made = train(name, EXPERIMENTS / entry.experiment, seed=seed, overrides=overrides, about=entry.about)
                rows.add({**made, "overrides": [*entry.overrides], "published": entry.published, "show": entry.show})
                told(made, entry)
            if entry.peer and not (asked.resume and rows.has(f"{name}: {PEER}", seed)):
                made = boosted(name, entry, seed)
                rows.add(made | {"show": entry.show})
                told(made, entry)


def told(made: Row, entry: Entry) -> None:
    """A line for the terminal."""
    found = {key: round(made["metrics"][key], 4) for key in entry.show}
    print(made["name"], f"seed {made['seed']}:", found, f"{made['cpu_s']:.0f} s of CPU", flush=True)


if __name__ == "__main__":
    main()
