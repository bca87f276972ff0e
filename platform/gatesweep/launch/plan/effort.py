"""How many epochs a sweep trains, and how long that takes.

    epochs     the sweep's own schedule, run on made-up learning curves: a level drawn for each trial, noise, the same
               fall for all; p50 and p90 over such sweeps
    epoch      from earlier sweeps of the same name and task, where three trials of them have told their epochs: p50 and
               p90 over trials; else between the corners: p50 in the middle, p90 at nine tenths of the way
    hours      p50 = epochs p50 · epoch p50, p90 = epochs p90 · epoch p90, over the trials at a time
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import numpy as np

from gatesweep.errors import LogError
from gatesweep.storage import place
from gatesweep.sweep.schedule import scheduler
from gatesweep.sweep.spec import SweepSpec
from gatesweep.track.log import read
from gatesweep.track.records import Record

SIMULATED, MOST_TRIALS, ENOUGH = 20, 100, 3
DECIDING = ("asha", "hyperband", "median")
"""Schedules that stop trials on their values alone; under the others every trial trains to its end."""


@dataclass(frozen=True)
class Spread:
    """The middle and the high end of a guess."""

    p50: float
    p90: float

    def times(self, other: Spread, factor: float = 1.0) -> Spread:
        return Spread(self.p50 * other.p50 * factor, self.p90 * other.p90 * factor)


@dataclass(frozen=True)
class EpochTimes:
    """Seconds of one epoch, and where they are from."""

    seconds: Spread
    source: str
    """history, or corners."""
    how: str
    """In words."""


def epochs(spec: SweepSpec) -> Spread:
    """Epochs of the whole sweep, all trials together."""
    trials, most = spec.budget.trials, _most_epochs(spec)
    if spec.scheduler.name not in DECIDING:
        return Spread(trials * most, trials * most)
    simulated = min(trials, MOST_TRIALS)
    totals = [_simulated(spec, simulated, most, seed) * trials / simulated for seed in range(SIMULATED)]
    return Spread(*(float(np.quantile(totals, q)) for q in (0.5, 0.9)))


def _most_epochs(spec: SweepSpec) -> int:
    dimension = spec.space.get("trainer.max_epochs")
    return int(max(dimension.corners)) if dimension else spec.experiment.trainer.max_epochs


def _simulated(spec: SweepSpec, trials: int, most: int, seed: int) -> int:
    """Epochs that a sweep of made-up trials trains, as many at a time as the budget has."""
    rng, schedule = np.random.default_rng(seed), scheduler(spec)
    sign = 1.0 if spec.goal.mode == "min" else -1.0
    level = rng.uniform(size=trials)
    waiting, total = iter(range(trials)), 0
    live: dict[int, int] = {}
    while True:
        for number in itertools.islice(waiting, spec.budget.concurrent - len(live)):
            schedule.add(f"t{number}")
            live[number] = 0
        if not live:
            return total
        number = int(rng.choice(list(live)))
        live[number] += 1
        total += 1
        value = sign * (level[number] + 3 * 0.6 ** live[number] + 0.05 * float(rng.normal()))
        if live[number] == most or not schedule.goes_on(f"t{number}", live[number], value):
            schedule.over(f"t{number}", live.pop(number), value)


def epoch_times(corners_s: tuple[float | None, float | None], known_s: Sequence[float], sweeps: Sequence[str]
                ) -> EpochTimes | None:  # fmt: skip
    """Seconds of one epoch.

    Args:
        corners_s: of the smallest and the largest corner.
        known_s: the mean epoch of each trial of earlier sweeps.
        sweeps: the ids of those.
    """
    if len(known_s) >= ENOUGH:
        spread = Spread(*(float(np.quantile(known_s, q)) for q in (0.5, 0.9)))
        return EpochTimes(spread, "history", f"epochs of {len(known_s)} trials of {', '.join(sweeps)}, as long as"
                                             " they took where they ran")  # fmt: skip
    if corners_s[0] is None or corners_s[1] is None:
        return None
    low, high = sorted(each for each in corners_s if each is not None)
    spread = Spread((low + high) / 2, low + 0.9 * (high - low))
    return EpochTimes(spread, "corners", "measured at both corners: p50 in the middle between them, p90 at nine tenths"
                                         " of the way; alone on this machine")  # fmt: skip


def history(spec: SweepSpec, folders: Iterable[Path]) -> tuple[list[float], list[str]]:
    """The mean epoch of each trial of earlier sweeps of this name and task, and the ids of these sweeps.

    Args:
        folders: each holds `sweeps/<sweep_id>/`.
    """
    known_s: list[float] = []
    ids: list[str] = []
    for folder in dict.fromkeys(folders):
        for log in sorted((folder / "sweeps").glob(f"{spec.name}-*/log.jsonl")):
            try:
                records = read(place(log.parent))
            except LogError:  # damaged: `gatesweep list` says so
                continue
            found = _epochs_of(records, spec) if records else []
            known_s += found
            ids += [log.parent.name] if found else []
    return known_s, ids


def _epochs_of(records: Sequence[Record], spec: SweepSpec) -> list[float]:
    first = records[0]
    if first.get("name") != spec.name or first["spec"]["experiment"]["task"] != spec.experiment.task:
        return []
    last_ms: dict[str, int] = {}
    found: dict[str, list[float]] = defaultdict(list)
    for record in records[1:]:
        name = record.get("trial", "")
        if record["event"] == "result":
            if name in last_ms:  # from one epoch to the next: the first one holds the start of the attempt too
                found[name].append((record["ts"] - last_ms[name]) / 1000)
            last_ms[name] = record["ts"]
        elif record["event"] in ("start", "fail", "end"):
            last_ms.pop(name, None)
        elif record["event"] in ("stop", "resume"):
            last_ms.clear()
    return [mean(each) for each in found.values()]
