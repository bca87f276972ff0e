"""A sweep's state from its log alone: no task is imported, no tracking store asked, nothing written.

    records --fold--> Progress {trials: Trial}  --as_dict-->  what `status --json` prints
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gatesweep.launch.runner import Job
from gatesweep.track.records import Record, goal_of

KINDS = ("completed", "pruned", "failed", "stopped", "running", "waiting")


@dataclass
class Trial:
    """One configuration, as far as the log has it."""

    name: str
    params: Mapping[str, Any]
    attempt: int = 0
    epoch: int = 0
    node: str = ""
    outcome: str | None = None
    reason: str = ""
    live: bool = False
    """An attempt was started and has not ended."""
    best: float | None = None
    best_epoch: int = 0
    best_params: Mapping[str, Any] = field(default_factory=dict)
    """Those of that epoch, where trials copy each other's."""
    retries: int = 0
    since_ms: int = 0


@dataclass
class Progress:
    """One sweep."""

    sweep_id: str
    metric: str = ""
    mode: str = "min"
    question: str = ""
    asked: int = 0
    trials: dict[str, Trial] = field(default_factory=dict)
    failures: Counter[str] = field(default_factory=Counter)
    """Deaths of attempts by class, those that were retried included."""
    ended: str | None = None
    """`done` or `stopped`; none while it is open."""
    reason: str = ""
    test: dict[str, float] = field(default_factory=dict)
    last_ms: int = 0
    records: int = 0
    """How many there are, without those of drivers that took the log over and have not said yet what they do."""

    def state(self, job: Job | None, seen: int = 0) -> str:
        """done, stopped, running, pending, starting, interrupted, failed, or open where nobody knows its driver.

        Args:
            seen: how many records there were when the driver was sent.
        """
        if seen and job is not None and job.alive and self.records <= seen:
            return "starting"
        if self.ended:
            return self.ended
        if job is None or (job.state == "unknown" and not job.message):
            return "open" if self.asked else "empty"
        if job.alive:
            return "running" if self.asked else job.state.replace("running", "starting")
        return "interrupted" if self.asked else "failed"

    def counts(self, *, live: bool) -> dict[str, int]:
        """Trials by what they are; without a live driver none is running."""
        counts = dict.fromkeys(KINDS, 0)
        for trial in self.trials.values():
            counts[trial.outcome or ("running" if live and trial.live else "stopped" if not live else "waiting")] += 1
        return {"asked": self.asked, "over": sum(t.outcome is not None for t in self.trials.values()), **counts}

    def best(self) -> dict[str, Any] | None:
        """The best epoch of any trial that did not fail."""
        scored = [trial for trial in self.trials.values() if trial.best is not None and trial.outcome != "failed"]
        sign = 1.0 if self.mode == "min" else -1.0
        top = min(scored, key=lambda trial: (sign * (trial.best or 0.0), trial.name), default=None)
        if top is None:
            return None
        return {"trial_id": f"{self.sweep_id}/{top.name}", "metric": self.metric, "value": top.best,
                "epoch": top.best_epoch, "params": dict(top.best_params), "test": dict(self.test)}  # fmt: skip

    def running(self) -> list[Trial]:
        """Trials that were being trained when the last record was written."""
        return [trial for trial in self.trials.values() if trial.live and trial.outcome is None]


def fold(sweep_id: str, records: Iterable[Record]) -> Progress:
    """The state after these records."""
    progress = Progress(sweep_id)
    for record in records:
        _take(progress, record)
        progress.last_ms = record.get("ts", progress.last_ms)
        progress.records += record["event"] != "lease"
    return progress


def _take(progress: Progress, record: Record) -> None:
    match record["event"]:
        case "sweep":
            spec = record["spec"]
            progress.metric, progress.mode = goal_of(spec) or ("", "min")
            progress.question, progress.asked = spec.get("question", ""), spec["budget"]["trials"]
        case "extend":
            progress.asked, progress.ended = record["budget"]["trials"], None
        case "stop" | "done":
            progress.ended = "stopped" if record["event"] == "stop" else "done"
            progress.reason = record.get("reason", "")
            _all_released(progress)
        case "resume":
            progress.ended, progress.reason = None, ""
            _all_released(progress)
        case "best":
            progress.test = dict(record.get("test") or {})
        case "new":
            progress.trials[record["trial"]] = Trial(record["trial"], record["params"])
        case "retry":
            _reopened(progress, record)
        case "mutate":
            for change in record["changes"]:
                progress.trials[change["trial"]].params = change["params"]
        case _ if record.get("trial") in progress.trials:
            _take_of(progress, progress.trials[record["trial"]], record)


def _all_released(progress: Progress) -> None:
    for trial in progress.trials.values():
        trial.live = False


def _reopened(progress: Progress, record: Record) -> None:
    """`gatesweep retry`: failed trials are open again."""
    progress.ended = None
    for name in record.get("trials") or [record.get("trial")]:
        if name in progress.trials:
            progress.trials[name].outcome, progress.trials[name].reason = None, ""


def _take_of(progress: Progress, trial: Trial, record: Record) -> None:
    trial.node = record.get("host") or record.get("node") or trial.node
    trial.since_ms = record.get("ts", 0)
    match record["event"]:
        case "start":
            trial.attempt, trial.live = record["attempt"], True
        case "result":
            trial.epoch = record["epoch"]
            value = record["metrics"].get(progress.metric)
            sign = 1.0 if progress.mode == "min" else -1.0
            if value is not None and (trial.best is None or sign * value < sign * trial.best):
                trial.best, trial.best_epoch, trial.best_params = value, record["epoch"], trial.params
            if record.get("outcome"):
                trial.outcome = record["outcome"]
            trial.live = trial.live and not record.get("outcome") and record.get("decision") != "pause"
        case "fail":
            progress.failures[record.get("class") or "unclassified"] += 1
            trial.live, trial.reason, trial.retries = False, record.get("reason") or "", trial.retries + 1
            if record["final"]:
                trial.outcome = "failed"
        case "end":
            trial.outcome, trial.reason, trial.live = record["outcome"], record.get("reason") or "", False
