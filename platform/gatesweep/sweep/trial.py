"""One trial as its sweep's log tells of it, and what a worker is asked to do for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gatesweep.sweep.search import Params
from gatesweep.track.records import Record


@dataclass(frozen=True)
class Mutation:
    """A trial took another's weights, and new values."""

    epoch: int
    """After which."""

    donor: str
    checkpoint: str
    """The donor's, after that epoch."""

    was: Mapping[str, Any]
    """The trial's own values before."""

    params: Params
    seed: int
    """Of the draws that the new values came from."""

    def as_dict(self) -> dict[str, Any]:
        """As a reader of results is told of it."""
        return {"epoch": self.epoch, "from": self.donor, "was": dict(self.was), "params": dict(self.params)}


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
    mutations: list[Mutation] = field(default_factory=list)
    trained_as: tuple[Params, int] | None = None
    """The values, and the number of the trial, that its checkpoint was trained with, where that is another's."""

    @property
    def live(self) -> bool:
        """It is not over."""
        return self.outcome is None

    def params_at(self, epoch: int) -> Mapping[str, Any]:
        """The values that `epoch` was trained with."""
        later = next((mutation for mutation in self.mutations if mutation.epoch >= epoch), None)
        return self.params if later is None else later.was

    def copy(self, donor: Trial, change: Record, epoch: int) -> None:
        """Go on from the donor's weights after `epoch`, with new values, as a `mutate` record says."""
        self.mutations.append(
            Mutation(epoch, donor.name, change["checkpoint"], self.params, change["params"], change["seed"])
        )
        self.trained_as = (donor.params, donor.number)
        self.params, self.checkpoint = change["params"], change["checkpoint"]

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
