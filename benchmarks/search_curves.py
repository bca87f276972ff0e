"""Searches with early stopping, on replayed learning curves: ours, Optuna's, Syne Tune's.

    python benchmarks/search_curves.py --collect SWEEP_FOLDER…     curves out of the logs of sweeps without stopping
    python benchmarks/search_curves.py [--seeds 10] [--syne /path/to/python]
    python benchmarks/search_curves.py --page

The curves are those of 96 trainings of nine epochs of the traffic experiment, scrambled Sobol points of five
dimensions. Four simulated workers spend 540 epochs, 60 whole trainings' worth (see `replay`). Score: normalised regret,
averaged over the epochs spent. Contenders take turns; whoever wants BOHB gets what each calls so: ours is `tpe` with
`learn_from: rung` under hyperband, Optuna's TPE with its HyperbandPruner, Syne Tune's its BOHB.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from replay import Curves, Params, replay

HERE = Path(__file__).resolve().parent
CURVES, FILE = HERE / "results" / "curves.json", HERE / "results" / "search_curves.json"
PAGE = HERE.parent / "docs" / "search_measured.md"
EPOCHS, WORKERS, GRACE, REDUCTION = 540, 4, 1, 3
NAMES = ("random", "tpe", "random + asha", "tpe + asha", "bohb")
MARK = "\n## With early stopping\n"


def collect(folders: Sequence[Path]) -> None:
    """Every trial's objective by epoch."""
    from gatesweep.storage import place
    from gatesweep.track.log import read

    tasks: dict[str, Any] = {}
    for folder in folders:
        records = read(place(folder))
        spec = next(record["spec"] for record in records if record["event"] == "sweep")
        found: dict[str, dict[int, float]] = {}
        for record in records:
            if record["event"] == "result":
                found.setdefault(record["trial"], {})[record["epoch"]] = record["metrics"][spec["objective"]["metric"]]
        params = {record["trial"]: record["params"] for record in records if record["event"] == "new"}
        epochs = spec["experiment"]["trainer"]["max_epochs"]
        whole = sorted(trial for trial, values in found.items() if len(values) == epochs)
        tasks[spec["experiment"]["data"]["name"]] = {
            "params": [[float(f"{params[trial][key]:.6g}") for key in spec["space"]] for trial in whole],
            "values": [[float(f"{found[trial][epoch]:.6g}") for epoch in range(1, epochs + 1)] for trial in whole]}
        space = {key: {dim: value for dim, value in each.items()} for key, each in spec["space"].items()}
    CURVES.write_text(json.dumps({"space": space, "tasks": tasks}) + "\n")
    print({name: len(each["params"]) for name, each in tasks.items()})


class Ours:
    """Our searcher and scheduler, as a sweep's ledger drives them."""

    def __init__(self, name: str, curves: Curves, seed: int) -> None:
        from gatesweep.sweep.schedule import scheduler
        from gatesweep.sweep.search import searcher
        from gatesweep.sweep.spec import spec_from

        search, _, stopping = name.partition(" + ")
        raw = {"name": "replay", "objective": {"metric": "val/mae"}, "search": {"name": search, "seed": seed},
               "experiment": {"task": "forecasting", "data": {"name": "traffic", "horizon": 24, "lookback": 48},
                              "trainer": {"max_epochs": curves.epochs, "monitor": "val/mae"}},
               "space": {key: {kind: [low, high]} for key, (kind, low, high) in curves.space.items()},
               "scheduler": {"name": stopping or "none", "grace_epochs": GRACE, "reduction": REDUCTION}}  # fmt: skip
        if name == "bohb":
            raw["search"] = {"name": "tpe", "learn_from": "rung", "seed": seed}
            raw["scheduler"]["name"] = "hyperband"
        if raw["scheduler"]["name"] == "none":
            raw["scheduler"] = {"name": "none"}
        spec = spec_from(raw, place="replay")
        self.search, self.schedule = searcher(spec), scheduler(spec)

    def suggest(self, number: int) -> Params:
        self.schedule.add(f"t{number:04}")
        proposed = self.search.propose(number)
        assert proposed is not None, "none of these ends"
        return proposed[0]

    def goes_on(self, number: int, epoch: int, value: float) -> bool:
        self.search.observe(number, epoch, value)
        return self.schedule.goes_on(f"t{number:04}", epoch, value)

    def over(self, number: int, values: Sequence[float]) -> None:
        self.schedule.over(f"t{number:04}", len(values), values[-1])
        self.search.tell(number, [min(values)])


class Optunas:
    """A study with a sampler and a pruner, at their own defaults but for grace and reduction."""

    def __init__(self, name: str, curves: Curves, seed: int) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        self.optuna, self.space = optuna, curves.space
        halving = {"min_resource": GRACE, "reduction_factor": REDUCTION}
        pruner: Any = (
            optuna.pruners.SuccessiveHalvingPruner(**halving) if "asha" in name
            else optuna.pruners.HyperbandPruner(max_resource=curves.epochs, **halving) if name == "bohb"
            else optuna.pruners.NopPruner())  # fmt: skip
        sampler: Any = (
            optuna.samplers.RandomSampler(seed) if name.startswith("random") else optuna.samplers.TPESampler(seed=seed))
        self.study = optuna.create_study(sampler=sampler, pruner=pruner)
        self.trials: dict[int, Any] = {}
        self.stopped: set[int] = set()

    def suggest(self, number: int) -> Params:
        trial = self.trials[number] = self.study.ask()
        return {key: (trial.suggest_int if "int" in kind else trial.suggest_float)(
            key, int(low) if "int" in kind else low, int(high) if "int" in kind else high, log=kind.startswith("log"))
            for key, (kind, low, high) in self.space.items()}  # fmt: skip

    def goes_on(self, number: int, epoch: int, value: float) -> bool:
        self.trials[number].report(value, epoch)
        if self.trials[number].should_prune():
            self.stopped.add(number)
        return number not in self.stopped

    def over(self, number: int, values: Sequence[float]) -> None:
        state = self.optuna.trial.TrialState
        if number in self.stopped:
            self.study.tell(self.trials.pop(number), state=state.PRUNED)
        else:
            self.study.tell(self.trials.pop(number), min(values))


CONTENDERS: dict[str, Callable[[str, Curves, int], Any]] = {"gatesweep": Ours, "optuna": Optunas}


def searched(seeds: int) -> list[dict[str, Any]]:
    """Ours and Optuna's, every seed with both before the next."""
    rows = []
    for task in json.loads(CURVES.read_text())["tasks"]:
        curves = Curves(CURVES, task)
        for name in NAMES:
            for seed in range(1, seeds + 1):
                for who, made in CONTENDERS.items():
                    started = time.process_time()
                    best = replay(made(name, curves, seed), curves, epochs=EPOCHS, workers=WORKERS)
                    regret = curves.regret(best)
                    rows.append({"who": who, "search": name, "task": task, "seed": seed, "regret": float(regret.mean()),
                                 "last": float(regret[-1]), "cpu_s": time.process_time() - started})  # fmt: skip
            print(task, name, flush=True)
    return rows


def syne(python: str, seeds: int) -> list[dict[str, Any]]:
    """Syne Tune's, in its own environment."""
    words = [python, str(HERE / "search_syne.py"), str(CURVES), str(seeds), str(EPOCHS), str(WORKERS)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def page(rows: Sequence[dict[str, Any]]) -> None:
    """A table at the end of docs/search_measured.md."""
    tasks, seeds = sorted({row["task"] for row in rows}), sorted({row["seed"] for row in rows})
    lines = [MARK.strip(), "",
             f"`benchmarks/search_curves.py`: real curves of nine epochs on {' and '.join(tasks)}, replayed; {WORKERS}",
             f"workers spend {EPOCHS} epochs, {len(seeds)} seeds. Regret as above, averaged over the epochs spent. The",
             "difference is ours minus theirs with its 95% interval (bootstrap over seeds): below 0, ours wins.", "",
             "| search | ours | Optuna's | difference | Syne Tune's | difference |", "|---|---|---|---|---|---|"]
    scores = {(row["who"], row["search"], row["task"], row["seed"]): row["regret"] for row in rows}
    for name in NAMES:
        by_seed = {who: np.array([np.mean([scores[who, name, task, seed] for task in tasks]) for seed in seeds])
                   for who in ("gatesweep", "optuna", "syne tune") if (who, name, tasks[0], seeds[0]) in scores}
        cells = [f"| `{name}` | {by_seed['gatesweep'].mean():.3f}"]
        for who in ("optuna", "syne tune"):
            cells.append(f"{by_seed[who].mean():.3f} | {apart(by_seed['gatesweep'] - by_seed[who])}"
                         if who in by_seed else " | ")
        lines.append(" | ".join(cells) + " |")
    lines += ["", "Syne Tune 0.16 has no TPE under ASHA alone."]
    text = PAGE.read_text().partition(MARK)[0].rstrip() + "\n"
    PAGE.write_text(text + "\n" + "\n".join([*lines, ""]))


def apart(differences: Any) -> str:
    """Mean and interval."""
    drawn = np.random.default_rng(0).choice(differences, (10_000, len(differences))).mean(1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return f"{differences.mean():+.3f} ({low:+.3f} to {high:+.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--collect", type=Path, nargs="+", metavar="SWEEP_FOLDER")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--syne", metavar="PYTHON", help="an interpreter that has syne-tune")
    parser.add_argument("--page", action="store_true", help="write the page, search nothing")
    given = parser.parse_args()
    if given.collect:
        collect(given.collect)
        return
    if not given.page:
        rows = searched(given.seeds) + (syne(given.syne, given.seeds) if given.syne else [])
        FILE.write_text(json.dumps(rows, indent=0) + "\n")
    page(json.loads(FILE.read_text()))


if __name__ == "__main__":
    main()
