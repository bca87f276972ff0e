"""One trial as its sweep's log tells of it, and what a worker is asked to do for it."""

from __future__ import annotations

from dataclasses import dataclass, field

from gatesweep.sweep.search import Params
from gatesweep.track.records import Record


@dataclass
class Trial:
    """One configuration and all that became of it."""

    name: str
    number: int
    params: Params
    attempt: int = 0
    deaths: int = 0
    """Those that count against `failure.retries`."""
    lost: int = 0
    """Those that do not."""
    traces: set[str] = field(default_factory=set)
    bad_hosts: set[str] = field(default_factory=set)
    dead: bool = False
    """The newest attempt has died."""
    epoch: int = 0
    checkpoint: str | None = None
    outcome: str | None = None
    reason: str | None = None
    order: int = 0
    """When it was first started, counted over the sweep: interrupted trials go on in this order."""
    metrics: dict[int, dict[str, float]] = field(default_factory=dict)
    checkpoints: dict[int, str] = field(default_factory=dict)
    host: str = ""
    """Where its newest attempt was last heard of."""
    started_ms: int = 0
    busy_ms: int = 0

    def best_epoch(self, metric: str, mode: str) -> int | None:
        """The epoch with the best objective, the earlier of equals."""
        sign = 1.0 if mode == "min" else -1.0
        return min(self.metrics, key=lambda epoch: (sign * self.metrics[epoch][metric], epoch), default=None)

    def died(self, record: Record) -> None:
        """Its attempt died, as a `fail` record says."""
        self.dead = True
        policy = record.get("policy", "counted")  # logs of before say no policy: every death counted
        self.deaths += policy in ("counted", "fail")
        self.lost += policy == "free"
        if record.get("trace"):
            self.traces.add(record["trace"])
        if policy == "exclude_node":
            self.bad_hosts.add(record["host"])

    def open_again(self) -> None:
        """It was over, and is tried again with its retries anew."""
        self.outcome = self.reason = None
        self.deaths, self.lost, self.dead = 0, 0, True
        self.traces, self.bad_hosts = set(), set()


@dataclass(frozen=True)
class Assignment:
    """What a worker is to do: one attempt at one trial."""

    trial: Trial
    folder: str
    """Where this attempt's checkpoints go, relative to the sweep's place."""
