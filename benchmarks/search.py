"""Our searches against the same algorithms of Optuna driven directly, on a real, tabulated search space of LSTMs.

    GATESWEEP_BENCH_DATA=... python benchmarks/search.py [--only tpe random] [--seeds 10] [--evaluations 60] [--resume]
    python benchmarks/search.py --page

The table (hpo/deepar_lstm_table.csv: some 220 trained LSTM forecasters on each of 11 tasks) gives a value for any
configuration by the inverse-distance mean of its three nearest neighbours. One trial at a time; a search is told every
value. A run's score is its normalised regret, averaged over the evaluations: 0 the table's best, 1 its median, in the
logarithm of the error. Five tasks are there for whoever tunes a default (`--tasks fixed`; none was tuned yet), the
other six are reported. Rows go into results/search.json as they come; --page writes docs/search_measured.md from them.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks" / "tasks"))
from rows import Rows, bench_data, row  # noqa: E402

FILE = ROOT / "benchmarks" / "results" / "search.json"
PAGE = ROOT / "docs" / "search_measured.md"
COLUMNS = {"layers": "hp_num_layers", "cells": "hp_num_cells", "dropout": "hp_dropout_rate_log",
           "lr": "hp_learning_rate_log", "batches": "hp_num_batches_per_epoch_log",
           "context": "hp_context_length_ratio_log"}  # fmt: skip
SPACE: dict[str, dict[str, Any]] = {
    "layers": {"int_uniform": [2, 4]}, "cells": {"log_int_uniform": [30, 120]},
    "dropout": {"log_uniform": [0.01, 0.5]}, "lr": {"log_uniform": [1e-4, 0.0995]},
    "batches": {"log_int_uniform": [10, 10_000]}, "context": {"log_uniform": [0.0556, 3.96]},
}  # fmt: skip
"""The table's hyperparameters; it has their logarithms."""

FIXED_ON = ("electricity", "exchange-rate", "m4-Daily", "m4-Hourly", "m4-Monthly")
REPORTED = ("m4-Quarterly", "m4-Weekly", "m4-Yearly", "solar", "traffic", "wiki-rolling")
NEIGHBOURS = 3
GOOD = 0.05
"""The share of the table that counts as found."""

Params = dict[str, Any]
Curve = NDArray[np.float64]


class Task:
    """The error of any configuration on one task."""

    def __init__(self, table: pd.DataFrame) -> None:
        points = table[[*COLUMNS.values()]].to_numpy(np.float64)
        self.low, self.span = points.min(0), np.ptp(points, axis=0)
        self.points = (points - self.low) / self.span
        self.values = np.log(table["metric_CRPS"].to_numpy(np.float64))
        self.best, self.median = float(self.values.min()), float(np.median(self.values))
        self.good = float(np.quantile(self.values, GOOD))

    def __call__(self, params: Params) -> float:
        at = (np.log([float(params[name]) for name in COLUMNS]) - self.low) / self.span
        distance = np.sqrt(((self.points - at) ** 2).sum(1)) + 1e-9
        near = np.argsort(distance)[:NEIGHBOURS]
        weight = 1 / distance[near]
        return float((self.values[near] * weight).sum() / weight.sum())

    def regret(self, values: Curve) -> Curve:
        """Of the best so far, after each evaluation."""
        return (np.minimum.accumulate(values) - self.best) / (self.median - self.best)


def tasks(folder: Path) -> dict[str, Task]:
    """By name."""
    table = pd.read_csv(folder / "deepar_lstm_table.csv")
    return {str(name): Task(part) for name, part in table.groupby("task")}


def ours(name: str, seed: int, evaluations: int, task: Task) -> Curve:
    """Our search, as a sweep drives it at one trial at a time."""
    from gatesweep.config.dimension import Dimension
    from gatesweep.sweep import evolving, independent, modelled
    from gatesweep.sweep.options import SearchConfig

    space = {key: Dimension.model_validate(value) for key, value in SPACE.items()}
    config = SearchConfig(name=name, seed=seed)  # type: ignore[arg-type]
    made: Callable[[], Any] = {
        "random": lambda: independent.Random(space, config), "qmc": lambda: independent.Quasi(space, config),
        "tpe": lambda: modelled.TPE(space, config, ["min"]), "cmaes": lambda: evolving.CMAES(space, config, ["min"]),
        "gp": lambda: modelled.GaussianProcess(space, config, ["min"]),
    }[name]  # fmt: skip
    search, values = made(), []
    for number in range(evaluations):
        proposed = search.propose(number)
        assert proposed is not None, "none of these ends"
        values.append(task(proposed[0]))
        search.tell(number, [values[-1]])
    return np.array(values)


def optunas(name: str, seed: int, evaluations: int, task: Task) -> Curve:
    """The same algorithm, its sampler kept for the whole study, at Optuna's own defaults."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    sampler: Any = {
        "random": optuna.samplers.RandomSampler, "qmc": partial(optuna.samplers.QMCSampler, scramble=True),
        "tpe": optuna.samplers.TPESampler, "cmaes": optuna.samplers.CmaEsSampler, "gp": optuna.samplers.GPSampler,
    }[name](seed=seed)  # fmt: skip
    study = optuna.create_study(sampler=sampler)

    def objective(trial: optuna.Trial) -> float:
        params: Params = {}
        for key, value in SPACE.items():
            ((kind, (low, high)),) = value.items()
            log = "log" in kind
            params[key] = (trial.suggest_int if "int" in kind else trial.suggest_float)(key, low, high, log=log)
        return task(params)

    study.optimize(objective, n_trials=evaluations)
    return np.array([trial.value for trial in study.trials])


CONTENDERS = {"gatesweep": ours, "optuna": optunas}
NAMES = ("random", "qmc", "tpe", "cmaes", "gp")


def main() -> None:
    """Search, interleaved: every seed of a task with both contenders before the next."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("--tasks", choices=("reported", "fixed"), default="reported")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--evaluations", type=int, default=60)
    parser.add_argument("--resume", action="store_true", help="keep the rows that are there")
    parser.add_argument("--page", action="store_true", help="write the page, search nothing")
    asked = parser.parse_args()
    rows = Rows(FILE, resume=asked.resume or asked.page)
    if not asked.page:
        known = tasks(Path(bench_data("hpo")))
        for name in asked.only:
            for task in REPORTED if asked.tasks == "reported" else FIXED_ON:
                for seed in range(1, asked.seeds + 1):
                    for who in CONTENDERS:
                        title = f"{who} {name}, {task}"
                        if not rows.has(title, seed):
                            rows.add(searched(title, who, name, task, known[task], seed, asked.evaluations))
                print(name, task, flush=True)
    page(rows.rows)


def searched(title: str, who: str, name: str, where: str, task: Task, seed: int, evaluations: int) -> dict[str, Any]:
    """One row."""
    started = time.process_time()
    values = CONTENDERS[who](name, seed, evaluations, task)
    found = np.flatnonzero(values <= task.good)
    return row(title, metrics={"regret": float(task.regret(values).mean()), "last": float(task.regret(values)[-1])},
               seed=seed, who=who, search=name, task=where, evaluations=evaluations,
               cpu_s=round(time.process_time() - started, 3),
               found_after=int(found[0]) + 1 if len(found) else None)  # fmt: skip


def page(rows: Sequence[dict[str, Any]]) -> None:
    """Means over tasks and seeds, their paired difference with a bootstrap interval, evaluations to the best 5%."""
    shown = [row for row in rows if row["task"] in REPORTED]
    most, seeds = max((row["evaluations"] for row in shown), default=0), len({row["seed"] for row in shown})
    lines = ["# Searches, measured", "",
             f"`benchmarks/search.py`, on {len(REPORTED)} tasks of a table of trained LSTMs on which no default was",
             f"fixed, {most} evaluations one after the other, {seeds} seeds. Regret: the mean over them, 0 the",
             "table's best, 1 its median, in the logarithm of the error. The difference is ours - Optuna's at its own",
             "defaults on the same task and seed, with its 95% interval (bootstrap over seeds): below 0, ours wins.",
             "Evaluations to one of the best 5% of the table: the median; who never found one counts as one more than",
             "there were.", "",
             "| search | ours | Optuna's | difference | best 5% after, ours | Optuna's | CPU s a search | Optuna's |",
             "|---|---|---|---|---|---|---|---|"]  # fmt: skip
    for name in NAMES:
        both = {who: {(row["task"], row["seed"]): row for row in shown if (row["who"], row["search"]) == (who, name)}
                for who in CONTENDERS}  # fmt: skip
        pairs = sorted(both["gatesweep"].keys() & both["optuna"].keys())
        if pairs:
            lines.append(line(name, [both["gatesweep"][key] for key in pairs], [both["optuna"][key] for key in pairs]))
    PAGE.write_text("\n".join([*lines, ""]))
    print(PAGE.relative_to(ROOT))


def line(name: str, one: Sequence[dict[str, Any]], other: Sequence[dict[str, Any]]) -> str:
    """One search's."""
    regret = [np.array([row["metrics"]["regret"] for row in rows]) for rows in (one, other)]
    apart = regret[0] - regret[1]
    by_seed = [apart[[row["seed"] == seed for row in one]] for seed in sorted({row["seed"] for row in one})]
    means_S = np.array([each.mean() for each in by_seed])  # one seed proposes alike on all tasks: they are one draw
    drawn = np.random.default_rng(0).choice(means_S, (10_000, len(means_S))).mean(1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    after = [np.median([row["found_after"] or row["evaluations"] + 1 for row in rows]) for rows in (one, other)]
    cpu_s = [np.mean([row["cpu_s"] for row in rows]) for rows in (one, other)]
    means = f"{regret[0].mean():.3f} | {regret[1].mean():.3f}"
    return (f"| `{name}` | {means} | {apart.mean():+.3f} ({low:+.3f} to {high:+.3f})"
            f" | {after[0]:.0f} | {after[1]:.0f} | {cpu_s[0]:.2f} | {cpu_s[1]:.2f} |")


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
