"""When a sweep's budget is spent. What counts stands in its log, so that a restart counts on where it was.

    wall time    between the log's records, but for the time from a death or a stop to the next `resume`
    hours        Σ over attempts of the time from start to newest epoch or death · cores (GPUs) of the trial
"""

from __future__ import annotations

from dataclasses import dataclass

from gatesweep.sweep.options import Budget, Resources
from gatesweep.track.records import Record

HOUR_MS = 3_600_000
AFTER_A_REST = ("lease", "resume")
"""The first records of a driver: the time before them was nobody's work."""


@dataclass
class Spending:
    """What a sweep has used so far, record by record."""

    worked_ms: int = 0
    last_ms: int | None = None
    best: float | None = None
    """The best objective of a trial that is over."""
    since_best: int = 0
    """Trials that have ended since, without failing."""

    def heard(self, record: Record) -> None:
        """Another record of the log."""
        if self.last_ms is not None and record["event"] not in AFTER_A_REST:
            self.worked_ms += max(0, record["ts"] - self.last_ms)
        self.last_ms = record["ts"]

    def ended(self, value: float, mode: str) -> None:
        """A trial is over with this objective."""
        if self.best is None or (value != self.best and _at_least(value, self.best, mode)):
            self.best, self.since_best = value, 0
        else:
            self.since_best += 1


def spent(
    budget: Budget,
    spending: Spending,
    resources: Resources,
    *,
    busy_ms: int,
    best: float | None,
    mode: str,
    now_ms: int,
) -> tuple[str, str] | None:
    """The first budget that is used up, and why in words.

    Args:
        busy_ms: what all attempts took together.
        best: the best objective of any trial, running ones included.
    """
    worked_ms = spending.worked_ms + max(0, now_ms - (spending.last_ms or now_ms))
    if budget.wall_time is not None and worked_ms >= budget.wall_ms:
        return "wall_time", f"{budget.wall_time} are over"
    for name, each in (("cpu_hours", resources.cpus), ("gpu_hours", resources.gpus)):
        allowed, used = getattr(budget, name), busy_ms / HOUR_MS * each * resources.least_workers
        if allowed is not None and used >= allowed:
            return name, f"{used:.4g} of {allowed:g} are used"
    if budget.target is not None and best is not None and _at_least(best, budget.target, mode):
        return "target", f"{best:.6g} reaches {budget.target:g}"
    if budget.no_improvement is not None and spending.since_best >= budget.no_improvement:
        return "no_improvement", f"{spending.since_best} trials ended without a better one"
    return None


def _at_least(value: float, other: float, mode: str) -> bool:
    return value <= other if mode == "min" else value >= other
