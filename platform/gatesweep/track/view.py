"""A sweep's log, folded into what MLflow should show: the pure half of the projection, which asks nobody.

    log records --fold--> SweepView {trials: TrialView} --(projector.py)--> parent run {child runs}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gatesweep.track.ancestry import Ancestry
from gatesweep.track.records import STATUS, Record, goal_of
from gatesweep.track.store import Point

MUTATION = "mutation/"
"""Starts the metrics that a trial's changed values are: MLflow takes a parameter once."""

PARENT = ""
"""Stands for the sweep's own run where a trial's name would."""


@dataclass
class TrialView:
    """One trial as its run should be."""

    name: str
    number: int = 0
    params: Mapping[str, Any] = field(default_factory=dict)
    born_ms: int = 0
    attempt: int = 0
    outcome: str | None = None
    reason: str | None = None
    deaths: list[str] = field(default_factory=list)
    """The class of every death so far."""
    ended_ms: int = 0
    points: list[Point] = field(default_factory=list)
    """Values that the store has not acknowledged."""
    keys: set[str] = field(default_factory=set)
    epochs: set[int] = field(default_factory=set)
    tested: bool = False
    weights: str = ""
    """The digest of those after the newest epoch."""
    best: float | None = None
    """The best value of the objective so far."""
    mutations: list[Mapping[str, Any]] = field(default_factory=list)
    """Whom it copied, when, and its values from then on: lines of `mutations.jsonl`."""


class SweepView:
    """One sweep as its runs should be, after the records that it was given."""

    def __init__(self) -> None:
        self.name = ""
        self.spec: Mapping[str, Any] = {}
        self.born_ms = 0
        self.trials: dict[str, TrialView] = {}
        self.points: list[Point] = []
        self.outcome: str | None = None
        """`stopped` from a stop to the next resume, `completed` or `failed` once done."""
        self.ended_ms = 0
        self.best_trial: str | None = None
        self.baseline = ""
        self._tests = 0
        self.ancestry = Ancestry()

    def outcome_of(self, trial: TrialView) -> str | None:
        """A trial that is open while its sweep does not run is `stopped`."""
        return trial.outcome or (None if self.outcome is None else "stopped")

    def ended_ms_of(self, trial: TrialView) -> int:
        return trial.ended_ms if trial.outcome else self.ended_ms

    def status_of(self, trial: TrialView | None) -> str:
        """MLflow's status for a trial, or for the sweep itself."""
        outcome = self.outcome if trial is None else self.outcome_of(trial)
        return STATUS[outcome] if outcome else "RUNNING"

    @property
    def objective(self) -> tuple[str, str] | None:
        """The metric to rank by and its mode, where there is one."""
        return goal_of(self.spec)

    def ranked(self) -> list[TrialView]:
        """Trials with a value and no failure, the best first."""
        sign = -1.0 if self.objective and self.objective[1] == "max" else 1.0
        scored = [(sign * t.best, t.number, t) for t in self.trials.values()
                  if t.best is not None and t.outcome != "failed"]
        return [trial for *_, trial in sorted(scored, key=lambda row: row[:2])]

    def fold(self, record: Record) -> set[str]:
        """Take one record in; the names of the runs that it changes (`PARENT` for the sweep's own)."""
        match record["event"]:
            case "sweep":
                self.name, self.spec = str(record.get("name", "")), record.get("spec") or {}
                self.born_ms = record["ts"]
                return {PARENT}
            case "stop":
                return self.turn("stopped", record["ts"])
            case "resume" | "extend":
                return self.turn(None, record["ts"])
            case "done":
                ended = record.get("outcomes") or {}
                good = any(ended.get(kind) for kind in ("completed", "pruned")) or not ended
                return self.turn("completed" if good else "failed", record["ts"])
            case "best":
                return self._score(record)
            case "retry":
                for name in record["trials"]:
                    self.trials[name].outcome = self.trials[name].reason = None
                return set(record["trials"])
            case "new" | "start" | "result" | "fail" | "end":
                return self._fold_trial(record)
            case "mutate":
                for change in record["changes"]:
                    self._mutate(change, record["epoch"], record["ts"])
                return {change["trial"] for change in record["changes"]}
            case _:
                return set()

    def turn(self, outcome: str | None, ts: int) -> set[str]:
        """The sweep ends so, or goes on (none); open trials follow."""
        self.outcome, self.ended_ms = outcome, ts
        return {PARENT} | {name for name, trial in self.trials.items() if trial.outcome is None}

    def _fold_trial(self, record: Record) -> set[str]:
        trial = self.trials.setdefault(record["trial"], TrialView(record["trial"], born_ms=record["ts"]))
        match record["event"]:
            case "new":
                trial.number, trial.params, trial.born_ms = record["number"], record["params"], record["ts"]
                self.ancestry.born(trial.name, trial.number, trial.params)
            case "start":
                trial.attempt, trial.outcome, trial.reason = record["attempt"], None, None
            case "result":
                self._result(trial, record)
            case "fail":
                trial.deaths.append(str(record.get("class", "crash")))
                if record.get("final"):
                    self._over(trial, "failed", record)
            case "end":
                self._over(trial, record["outcome"], record)
        return {trial.name}

    def _result(self, trial: TrialView, record: Record) -> None:
        epoch = int(record["epoch"])
        trial.weights = str(record.get("weights", ""))
        if epoch not in trial.epochs:
            trial.epochs.add(epoch)
            self._add(trial, record["metrics"], record["ts"], epoch)
        outcome = record.get("outcome")
        if outcome is None and (record.get("final") or record.get("decision") == "stop"):
            outcome = "completed" if record.get("final") else "pruned"
        if outcome:
            self._over(trial, outcome, record)

    def _mutate(self, change: Mapping[str, Any], epoch: int, ts: int) -> None:
        """Values that are others now, as metrics; the first time with what they were from the start."""
        trial, was = self.trials[change["trial"]], _numbers(change["was"])
        changed = {key: value for key, value in _numbers(change["params"]).items() if value != was.get(key)}
        first = {MUTATION + key: was[key] for key in changed if key in was and MUTATION + key not in trial.keys}
        self._add(trial, first, trial.born_ms, 0)
        self._add(trial, {MUTATION + key: value for key, value in changed.items()}, ts, epoch)
        trial.mutations.append({"epoch": epoch, **{key: change[key] for key in change if key != "trial"}})
        self.ancestry.copied(trial.name, change["from"], epoch, change["params"])

    def _add(self, trial: TrialView, metrics: Mapping[str, float], ts: int, step: int) -> None:
        first = self.objective[0] if self.objective else ""  # MLflow's comparison opens on the first metric of a run
        ordered = sorted(metrics.items(), key=lambda item: item[0] != first)
        trial.points += [Point(key, float(value), ts, step) for key, value in ordered]
        trial.keys |= metrics.keys()
        if self.objective and self.objective[0] in metrics:
            better = max if self.objective[1] == "max" else min
            value = float(metrics[self.objective[0]])
            if value == value:  # not NaN
                trial.best = value if trial.best is None else better(trial.best, value)

    @staticmethod
    def _over(trial: TrialView, outcome: str, record: Record) -> None:
        trial.outcome, trial.reason, trial.ended_ms = outcome, record.get("reason"), record["ts"]

    def _score(self, record: Record) -> set[str]:
        """The test split's values, on the best trial and, with the baseline's, on the sweep's own run."""
        values = {_prefixed("test", key): value for key, value in _numbers(record.get("test")).items()}
        told = record.get("baseline") or {}
        baseline = {f"baseline/{key}": value for key, value in _numbers(told.get("metrics", told)).items()}
        self.baseline = str(told.get("name", ""))
        self._tests += 1
        self.points += [Point(key, value, record["ts"], self._tests) for key, value in (values | baseline).items()]
        self.best_trial = record["trial"]
        trial = self.trials.get(record["trial"])
        if trial is None or trial.tested:
            return {PARENT}
        trial.tested = True
        self._add(trial, values, record["ts"], max(trial.epochs, default=0))
        return {PARENT, trial.name}


def _prefixed(split: str, key: str) -> str:
    return key if "/" in key else f"{split}/{key}"


def _numbers(told: Any) -> dict[str, float]:
    """The numbers among a mapping's values."""
    return {key: float(value) for key, value in (told or {}).items()
            if isinstance(value, int | float) and not isinstance(value, bool)}
