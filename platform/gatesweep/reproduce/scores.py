"""What a run scored: its best epoch's value, where every epoch has one; of the test split the only one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from gatesweep.config.loader import did_you_mean
from gatesweep.errors import ConfigError
from gatesweep.reproduce.sides import Member, Side
from gatesweep.tasks.registry import ASCENDING, TASKS, UNDIRECTED
from gatesweep.track.store import Point, Store

SPLITS = ("test", "val", "train")
_TIMES = {"time/epoch_s": "min"}


def shared_metrics(sides: Sequence[Side]) -> list[str]:
    """What every run has a value of, the test split's first."""
    has = [set(member.run.metrics) for side in sides for member in side.members]
    return sorted(set.intersection(*has), key=lambda name: (_split_order(name), name))


def _split_order(metric: str) -> int:
    split = metric.partition("/")[0]
    return SPLITS.index(split) if split in SPLITS else len(SPLITS)


def chosen_metric(asked: str | None, sides: Sequence[Side]) -> str | None:
    """What the runs are compared by: as asked; else what the first run watched, on the test split where all have it.

    On val it is too good: the best epoch was chosen by it.

    Returns:
        None where nothing was asked for and the runs have no such metric in common.

    Raises:
        ConfigError: a metric that not all of them have.
    """
    shared = shared_metrics(sides)
    if asked is not None:
        if asked not in shared:
            scored = [name for name in shared if name.partition("/")[0] in SPLITS]
            lack = [side.label for side in sides if any(asked not in member.run.metrics for member in side.members)]
            idea = did_you_mean(asked, shared)
            said = f"they share {', '.join(scored)}" if scored else "they share no metric"
            raise ConfigError(f"'{asked}' is not a metric of {', '.join(lack)}", place="--metric",
                              hint=f"{idea} {said}" if idea else said)
        return asked
    monitor = monitor_of(sides[0].first)
    name = monitor.partition("/")[2]
    fitting = (f"test/{name}", monitor, *(each for each in shared if each.partition("/")[0] in ("test", "val")))
    return next((each for each in fitting if each in shared), None)


def curve_metric(metric: str) -> str:
    """What has a value every epoch: the test split is looked at once."""
    return f"val/{metric.removeprefix('test/')}" if metric.startswith("test/") else metric


def monitor_of(member: Member) -> str:
    """The metric that chose the run's best epoch."""
    return str(_trainer(member).get("monitor") or "val/loss")


def _trainer(member: Member) -> Mapping[str, Any]:
    section = member.config.get("trainer")
    return section if isinstance(section, Mapping) else {}


def mode_of(metric: str, member: Member) -> str | None:
    """Which end of a metric is better, min or max; None where nobody knows.

    Of a task of the user's own, what its run watched says so, on every split.
    """
    name = metric.partition("/")[2]
    if metric in _TIMES:
        return _TIMES[metric]
    if member.task in TASKS:
        known = name in TASKS[member.task].metrics and name not in UNDIRECTED
        return ("max" if name in ASCENDING else "min") if known else None
    if metric != "train/loss" and name == monitor_of(member).partition("/")[2]:
        return str(_trainer(member).get("mode") or "min")
    return "min" if name == "loss" else None


def score(member: Member, metric: str, store: Store) -> float:
    """The run's value of a metric that it has: where every epoch has one, that of the best epoch."""
    if metric.startswith("test/"):
        return float(member.run.metrics[metric])
    epoch, history = best_epoch(member, store), store.history(member.run.run_id, metric)
    at_best = [point.value for point in history if point.step == epoch]
    return float(at_best[-1] if at_best else member.run.metrics[metric])


def best_epoch(member: Member, store: Store) -> int | None:
    """As the run says; of one that is not over, or is a sweep's trial, the best of what it watched so far."""
    said = member.run.tags.get("gatesweep.best_epoch", "")
    if said.isdecimal():
        return int(said)
    monitor = monitor_of(member)
    if monitor not in member.run.metrics:
        return None
    points = [point for point in store.history(member.run.run_id, monitor) if math.isfinite(point.value)]
    sign = -1 if _trainer(member).get("mode") == "max" else 1
    best: Point | None = min(points, key=lambda point: (sign * point.value, point.step), default=None)
    return None if best is None else best.step


def by_seed(side: Side, metric: str, store: Store) -> dict[int, float]:
    """A score for each seed; a run whose seed nobody knows has none here."""
    return {member.seed: score(member, metric, store) for member in side.members if member.seed is not None}
