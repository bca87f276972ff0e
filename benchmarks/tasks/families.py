"""What each family of encoders reaches at the price of the LSTM: at equal parameters and at equal operations.

    python benchmarks/tasks/families.py --resume [--only traffic] [--seeds 3]

The LSTM of a committed experiment is the measure; of the other families the hidden size is chosen that costs the same
(`gatesweep.models.budget`), everything else of the experiment stays. One learning rate, the LSTM's, for all: a family
that wants another one is at a disadvantage here, which a sweep would end.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rows import RESULTS, ROOT, Rows, train

CONFIGS = ROOT / "configs" / "experiments"
Price = Literal["parameters", "flops"]
PRICES: tuple[Price, ...] = ("parameters", "flops")
WORDS = {"parameters": "parameters", "flops": "operations"}


@dataclass(frozen=True)
class Case:
    """One experiment to hold the families against."""

    experiment: Path
    length: int
    """Steps of a sequence, for what attention costs."""

    show: tuple[str, ...]
    shapes: Mapping[str, Mapping[str, Any]]
    """Fields of a family that make it one for sequences of this length."""

    overrides: tuple[str, ...] = ()


CASES = {
    "traffic": Case(CONFIGS / "traffic.yaml", 48, ("test/mae",), {
        "tcn": {"layers": 4}, "transformer": {"layers": 2}, "xlstm": {"layers": 2},
    }),
    "reviews": Case(CONFIGS / "sentiment.yaml", 220, ("test/accuracy",), {
        "tcn": {"layers": 5}, "transformer": {"layers": 2}, "xlstm": {"layers": 2},
    }, ("data.fraction=0.2", "model.segment_length=none")),
}  # fmt: skip
FAMILIES = ("recurrent", "attention", "transformer", "tcn", "xlstm", "memory")
TOO_SLOW = {("reviews", "memory")}
"""Loops over time in Python: hours for texts."""


def same_price(case: Case, family: str, by: Price) -> tuple[list[str], dict[str, float]]:
    """Overrides that make the experiment's encoder one of that family, and what that costs."""
    from gatesweep.cells.layer import Recurrent
    from gatesweep.models import budget
    from gatesweep.runs.build import prepare
    from gatesweep.runs.experiment import load_experiment

    config = load_experiment(case.experiment, case.overrides)
    task, _ = prepare(config)
    width = next(module.input_size for module in task.module.modules() if isinstance(module, Recurrent))
    shape = case.shapes.get(family, {})
    found = budget.match(config.model, family, by, input_size=width, length=case.length, shape=shape)
    costs = {"parameters": budget.parameters(found, width), "flops": budget.flops_per_step(found, width, case.length)}
    chosen = {"family": family, "hidden_size": found.hidden_size, **shape}
    return [f"model.{name}={value}" for name, value in chosen.items()], costs


def main() -> None:
    """Train what is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resume", action="store_true", help="keep the rows that are there")
    parser.add_argument("--only", choices=CASES, help="one experiment alone")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    rows = Rows(RESULTS / "families.json", resume=asked.resume)
    wanted = [(name, family, by, seed) for name in CASES for family in FAMILIES for by in PRICES
              for seed in range(1, asked.seeds + 1)
              if asked.only in (None, name) and (name, family) not in TOO_SLOW
              and (family, by) != ("recurrent", "flops")]  # fmt: skip
    for name, family, by, seed in wanted:
        title = f"{name}, {family}" + ("" if family == "recurrent" else f" at equal {WORDS[by]}")
        if rows.has(title, seed):
            continue
        case = CASES[name]
        overrides, costs = same_price(case, family, by)
        about = f"{costs['parameters']:,.0f} parameters, {costs['flops']:,.0f} operations a step"
        row = train(title, case.experiment, seed=seed, about=about,
                    overrides=[*case.overrides, *overrides, f"trainer.threads={asked.threads}"])  # fmt: skip
        rows.add({**row, **costs, "family": family, "by": by, "show": list(case.show)})
        print(title, overrides, {key: row["metrics"][key] for key in case.show}, f"{row['wall_s']:.0f} s", flush=True)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
