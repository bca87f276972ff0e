"""Sweeps to report on: made up, but with the shapes that real ones have."""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Callable
from typing import Any

import pytest

from gatesweep.report import SweepView, TrialView

SWEEP_ID = "traffic-20261123-ab12cd"
SPACE = {
    "model.cell": {"choice": ["vanilla", "peephole", "coupled"]},
    "model.hidden_size": {"choice": [32, 64, 128]},
    "model.dropout": {"uniform": [0.0, 0.5]},
    "optimizer.name": {"choice": ["adamw", "sgd"]},
    "optimizer.momentum": {"uniform": [0.0, 0.99], "when": {"optimizer.name": "sgd"}},
    "optimizer.lr": {"log_uniform": [1e-4, 1e-1]},
}


def drawn_trial(number: int, draw: random.Random) -> TrialView:
    """A trial whose value is decided by its learning rate, with a little of everything else."""
    params: dict[str, Any] = {
        "model.cell": draw.choice(["vanilla", "peephole", "coupled"]),
        "model.hidden_size": draw.choice([32, 64, 128]),
        "model.dropout": draw.uniform(0.0, 0.5),
        "optimizer.name": draw.choice(["adamw", "sgd"]),
        "optimizer.lr": 10 ** draw.uniform(-4, -1),
    }
    if params["optimizer.name"] == "sgd":
        params["optimizer.momentum"] = draw.uniform(0.0, 0.99)
    end = 0.01 + 0.02 * (math.log10(params["optimizer.lr"]) + 2.5) ** 2 + 0.002 * params["model.dropout"]
    history = [(epoch, end + 0.05 * math.exp(-epoch)) for epoch in range(1, 6)]
    value = history[-1][1]
    return TrialView(
        trial_id=f"{SWEEP_ID}/t{number:04d}",
        number=number,
        outcome="pruned" if end > 0.03 else "completed",
        params=params,
        metrics={"val/mae": value, "val/rmse": 1.4 * value},
        best_value=value,
        epochs=5,
        history=history,
        duration_s=4.5,
        seed=1000 + number,
    )


def drawn_sweep(count: int = 12, seed: int = 1, **changes: Any) -> SweepView:
    """A finished sweep; `changes` replace its fields."""
    draw = random.Random(seed)
    trials = changes.pop("trials", None) or [drawn_trial(number, draw) for number in range(count)]
    completed = [trial for trial in trials if trial.outcome == "completed" and trial.value is not None]
    best = min(completed, key=lambda trial: trial.value or 0.0, default=None)
    view = SweepView(
        sweep_id=SWEEP_ID,
        name="traffic",
        question="Which cell forecasts traffic best?",
        metric="val/mae",
        mode="min",
        space=SPACE,
        search={"name": "tpe", "seed": 1},
        scheduler={"name": "asha"},
        budget={"trials": count},
        started="2026-11-23T09:37:00Z",
        wall_s=161.0,
        data={"traffic": "8f14e45fceea167a5a36dedd4bea2543.dir"},
        commit="2038b57",
        dirty=True,
        trials=trials,
        best=best.trial_id if best else None,
        baseline={"name": "seasonal-naive-168", "metrics": {"val/mae": 0.02, "test/mae": 0.025}},
        test={"test/mae": 0.0125},
        environment={"torch": "2.13.0"},
        experiment="configs/experiments/traffic.yaml",
    )
    return dataclasses.replace(view, **changes)


@pytest.fixture(scope="session")
def a_sweep() -> Callable[..., SweepView]:
    """`a_sweep(count, seed, **fields)` makes a finished sweep of `count` trials."""
    return drawn_sweep
