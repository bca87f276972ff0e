"""The sweep that `chaos.py` and `chaos_peer.py` disturb: eight trials of six short epochs, ASHA, two at a time."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SUPPORT = ROOT / "tests" / "support"
sys.path.insert(0, str(SUPPORT))  # the toy task and the hosts

TRIALS, EPOCHS, PAUSE_S = 8, 6, 1.5
METRIC = "val/mae"

SPEC: dict[str, Any] = {
    "name": "chaos",
    "experiment": {
        "task": "toy_task:ToyTask",
        "data": {"examples": 64, "pause_s": PAUSE_S},
        "trainer": {"max_epochs": EPOCHS, "batch_size": 32, "threads": 1},
    },
    "objective": {"metric": METRIC},
    "space": {
        "model.hidden_size": {"int_uniform": [4, 64]},
        "model.dropout": {"uniform": [0.0, 0.5]},
        "optimizer.lr": {"log_uniform": [1e-3, 1e-1]},
    },
    "search": {"name": "random", "seed": 1},
    "scheduler": {"name": "asha", "grace_epochs": 2, "reduction": 3},
    "budget": {"trials": TRIALS, "concurrent": 2},
}

QUICK: dict[str, Any] = {
    **SPEC,
    "name": "quick",
    "experiment": {
        **SPEC["experiment"],
        "data": {"examples": 64, "pause_s": 1.0},
        "trainer": {"max_epochs": 4, "batch_size": 32, "threads": 1},
    },
    "budget": {"trials": 5, "concurrent": 2},
}


def environment(**more: str) -> dict[str, str]:
    """For a process that trains the toy task: no telemetry, one thread, nobody else's cluster or tracking server."""
    unwanted = ("PYTHONDONTWRITEBYTECODE", "MLFLOW_TRACKING_URI", "RAY_ADDRESS", "GATESWEEP_HOME")
    inherited = {name: value for name, value in os.environ.items() if name not in unwanted}
    paths = [str(SUPPORT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        **inherited,
        "PYTHONPATH": os.pathsep.join(paths),
        "OMP_NUM_THREADS": "1",
        "MPLBACKEND": "Agg",
        "RAY_USAGE_STATS_ENABLED": "0",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        **more,
    }
