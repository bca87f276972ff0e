"""Syne Tune's side of `search_curves.py`, run by an interpreter that has it (syne-tune 0.16) and not gatesweep.

    search_syne.py CURVES.json SEEDS EPOCHS WORKERS      one JSON row a line
"""

from __future__ import annotations

import datetime
import json
import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from replay import Curves, Params, replay
from syne_tune.backend.trial_status import Trial
from syne_tune.config_space import lograndint, loguniform, randint, uniform
from syne_tune.optimizer.baselines import ASHA, BOHB, TPE, RandomSearch

KINDS = {"uniform": uniform, "log_uniform": loguniform, "int_uniform": randint, "log_int_uniform": lograndint}
GRACE, REDUCTION = 1, 3


class Syne:
    """One of Syne Tune's baselines, driven as its own tuner does."""

    def __init__(self, name: str, curves: Curves, seed: int) -> None:
        space = {key: KINDS[kind](int(low) if "int" in kind else low, int(high) if "int" in kind else high)
                 for key, (kind, low, high) in curves.space.items()}  # fmt: skip
        halving: dict[str, Any] = {"metric": "value", "time_attr": "epoch", "max_t": curves.epochs,
                                   "grace_period": GRACE, "reduction_factor": REDUCTION}  # fmt: skip
        self.scheduler: Any = {
            "random": lambda: RandomSearch(space, metrics=["value"], random_seed=seed),
            "tpe": lambda: TPE(space, metric="value", random_seed=seed),
            "random + asha": lambda: ASHA(space, random_seed=seed, **halving),
            "bohb": lambda: BOHB(space, random_seed=seed, **halving),
        }[name]()
        self.trials: dict[int, Trial] = {}

    def suggest(self, number: int) -> Params:
        config: Params = self.scheduler.suggest().config
        self.trials[number] = Trial(trial_id=number, config=config, creation_time=datetime.datetime.now())
        self.scheduler.on_trial_add(self.trials[number])
        return config

    def goes_on(self, number: int, epoch: int, value: float) -> bool:
        return bool(self.scheduler.on_trial_result(self.trials[number], {"value": value, "epoch": epoch}) == "CONTINUE")

    def over(self, number: int, values: Sequence[float]) -> None:
        trial, last = self.trials.pop(number), {"value": min(values), "epoch": len(values)}
        self.scheduler.on_trial_complete(trial, last)


def main() -> None:
    file, seeds, epochs, workers = Path(sys.argv[1]), *map(int, sys.argv[2:5])
    logging.disable(logging.WARNING)
    for task in json.loads(file.read_text())["tasks"]:
        curves = Curves(file, task)
        for name in ("random", "tpe", "random + asha", "bohb"):
            for seed in range(1, seeds + 1):
                started = time.process_time()
                best = replay(Syne(name, curves, seed), curves, epochs=epochs, workers=workers)
                regret = curves.regret(best)
                print(json.dumps({"who": "syne tune", "search": name, "task": task, "seed": seed,
                                  "regret": float(regret.mean()), "last": float(regret[-1]),
                                  "cpu_s": time.process_time() - started}), flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
