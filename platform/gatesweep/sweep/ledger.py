"""What a sweep knows: its log, folded. Every change is computed, written, synced, and only then acted on.

A trial is open until a record gives it an outcome. An attempt is Ray Tune's business and disposable; the trial is ours
and is never lost. Replaying the log makes every decision again and compares: a library that now decides differently
is an error, not another history.
"""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, Literal

from gatesweep.errors import ConfigError, LogError
from gatesweep.sweep.failures import Death
from gatesweep.sweep.options import Budget
from gatesweep.sweep.policies import breaker, policy_for
from gatesweep.sweep.schedule import decision, scheduler
from gatesweep.sweep.search import known_of, searcher
from gatesweep.sweep.spec import SweepSpec
from gatesweep.sweep.spending import Spending, spent
from gatesweep.sweep.standing import Standing
from gatesweep.sweep.trial import Assignment, Trial
from gatesweep.track.log import ReadOnlyLog, SweepLog
from gatesweep.track.records import BY_USER, Record

if TYPE_CHECKING:
    from gatesweep.tasks.base import Task


class Ledger(Standing):
    """The state of one sweep. One thread calls it: Ray Tune's control loop."""

    def __init__(self, log: SweepLog | ReadOnlyLog, spec: SweepSpec, task: Task | None = None) -> None:
        super().__init__(spec)
        self.log = log
        self.running: dict[str, str] = {}
        """Ray Tune's id of an attempt -> our trial."""
        self._paused: set[str] = set()
        """Ray Tune's ids of attempts that came to an exchange: they end, and their trials go on after it."""
        self.stopped: str | None = None
        self.pausing: Literal["drain", "epoch"] | None = None
        """The user wants it stopped: running trials go on to their end, or to their next epoch."""
        self.excluded: set[str] = set()
        """Nodes that get no more trials until a resume."""
        self.has_other_nodes: Callable[[set[str]], bool] = lambda excluded: False
        """Whether trials could run without these nodes; the executor knows."""
        self.exhausted = False
        self.spent: str | None = None
        """The budget that ended the sweep, until it goes on."""
        self.spending = Spending()
        self.clock: Callable[[], int] = lambda: int(time.time() * 1000)
        """Milliseconds, as the log's records have them."""
        self.listeners: list[Callable[[Record], None]] = []
        self.search, self.schedule = searcher(spec, task), scheduler(spec)
        self._orders = itertools.count(1)
        for line, record in enumerate(log.records, 1):
            self._replay(record, line)

    @property
    def finished(self) -> bool:
        """No trial is open and none is left to propose, or the budget is spent."""
        if self.spent:
            return True
        all_asked = len(self.trials) >= self.budget.trials or self.exhausted
        return all_asked and all(trial.outcome for trial in self.trials.values())

    # ---- what the executor asks and says

    def next(self, key: str) -> Assignment | Literal["wait", "finished"]:
        """The next attempt for the executor's handle `key`."""
        self.check_budget()
        if self.stopped is not None:
            return "finished"
        live = set(self.running.values())
        if self.pausing:
            if live:
                return "wait"
            if not self.finished:
                self.stop(BY_USER)
            return "finished"
        self._exchange()
        if len(live) >= self.budget.concurrent:
            return "wait"
        waiting = [t for t in self.trials.values() if t.live and t.name not in live and not self._waits(t)]
        trial = min(waiting, key=lambda t: (t.order or 1 << 30, t.number)) if waiting else self._new()
        if trial is None:
            return "wait" if live else "finished"
        self._write({"event": "start", "trial": trial.name, "attempt": trial.attempt + 1, "epoch": trial.epoch})
        self.running[key] = trial.name
        # the nonce keeps a late attempt of a killed driver out of this one's folder
        return Assignment(trial, f"trials/{trial.name}/a{trial.attempt}-{secrets.token_hex(3)}")

    def _new(self) -> Trial | None:
        number = len(self.trials)
        try:
            proposal = self.search.propose(number) if number < self.budget.trials else None
        except ConfigError as error:  # constraints that leave too little to draw from
            self.stop(error.message)
            return None
        if proposal is None:
            self.exhausted = self.exhausted or number < self.budget.trials
            return None
        params, memory = proposal
        record = {"event": "new", "trial": f"t{number:04d}", "number": number, "params": params, "memory": memory}
        self._write(record, proposed=True)
        return self.trials[f"t{number:04d}"]

    def _waits(self, trial: Trial) -> bool:
        """Whether it has come to an exchange that others are still on their way to."""
        return trial.epoch > 0 and self.schedule.pauses(trial.epoch)

    def _exchange(self) -> None:
        """Let trials copy each other, once all have come as far."""
        epoch = self.schedule.due(self.trials.values())
        if epoch is not None:
            self._write({"event": "mutate", "epoch": epoch,
                         "changes": self.schedule.exchange(self.trials.values(), epoch)})  # fmt: skip

    def result(self, key: str, report: dict[str, Any]) -> Literal["continue", "stop"]:
        """One epoch of an attempt; the answer is already on disk."""
        trial = self.trials[self.running[key]]
        if self.stopped is not None or report["attempt"] != trial.attempt or trial.outcome is not None:
            return "stop"
        if report["epoch"] <= trial.epoch:  # an epoch trained again after a death: already in the log
            return "continue"
        if report["epoch"] != trial.epoch + 1:
            raise AssertionError(f"{trial.name} reports epoch {report['epoch']} after {trial.epoch}")
        decided = self._decide(trial, report["epoch"], report["metrics"], final=report["final"])
        outcome = "completed" if report["final"] else "pruned" if decided == "stop" else None
        self._write(
            {
                "event": "result",
                "trial": trial.name,
                "attempt": trial.attempt,
                "epoch": report["epoch"],
                "metrics": report["metrics"],
                "checkpoint": report["checkpoint"],
                "final": report["final"],
                "decision": decided,
                "outcome": outcome,
                "host": report.get("host", ""),
                "weights": report.get("weights", ""),
            }
        )
        if decided == "pause":
            self._paused.add(key)
        self.check_budget()
        ends = outcome is not None or decided == "pause" or self.pausing == "epoch" or self.stopped is not None
        return "stop" if ends else "continue"

    def failed(self, key: str, death: Death) -> None:
        """An attempt died: told once. Where another may fare better and retries are left, the trial stays open."""
        name = self.running.get(key)
        trial = self.trials[name] if name else None
        if trial is None or trial.outcome is not None or trial.dead or self.stopped is not None or key in self._paused:
            return
        policy = policy_for(trial, death, self.spec.failure, lambda: self._runs_elsewhere(death))
        self._write(
            {
                "event": "fail",
                "trial": trial.name,
                "attempt": trial.attempt,
                "reason": death.reason,
                "class": death.kind,
                "policy": policy,
                "node": death.node,
                "host": death.host or trial.host,
                "trace": death.trace,
                "final": policy == "fail",
            }
        )
        reason = breaker(self.trials.values(), death, self.spec.failure)
        if reason:
            self.stop(reason)

    def _runs_elsewhere(self, death: Death) -> bool:
        """Whether there are nodes without that of this death, and without those that are excluded."""
        return bool(death.node) and self.has_other_nodes(self.excluded | {death.node})

    def released(self, key: str, death: Death | None = None) -> None:
        """The executor's handle is over; idempotent. An attempt without a last result counts as a death."""
        name = self.running.get(key)
        if name is not None and death is None and self.pausing != "epoch" and key not in self._paused:
            trial = self.trials[name]
            if trial.outcome is None and not trial.dead:
                death = Death("crash", "the attempt ended without a last epoch")
        if death is not None:
            self.failed(key, death)
        self.running.pop(key, None)
        self._paused.discard(key)

    def end(self, name: str, reason: str) -> bool:
        """The user stops one trial; whether it was open. `retry` opens it again."""
        trial = self.trials.get(name)
        if trial is None or trial.outcome is not None:
            return False
        self._write({"event": "end", "trial": name, "outcome": "stopped", "reason": reason})
        return True

    def retry(self, names: Collection[str] = ()) -> list[str]:
        """Open trials again that are over without success: these, or all that failed; with their retries anew."""
        wanted = names or [trial.name for trial in self.trials.values() if trial.outcome == "failed"]
        again = [name for name in wanted if self.trials[name].outcome in ("failed", "stopped")]
        if again:
            self._write({"event": "retry", "trials": again})
        return again

    def stop(self, reason: str, **more: str) -> None:
        """Nothing starts any more; open trials are resumable."""
        if self.stopped is None:
            self._write({"event": "stop", "reason": reason, **more})

    def check_budget(self) -> None:
        """Stop once a budget is spent, while there is something left to do."""
        if not self.budget.limited or self.stopped is not None or self.finished:
            return
        best = next(iter(self.ranked()), None) if self.budget.target is not None else None
        over = spent(
            self.budget, self.spending, self.spec.resources, busy_ms=sum(t.busy_ms for t in self.trials.values()),
            best=self.value(best) if best else None, mode=self.spec.goal.mode, now_ms=self.clock())  # fmt: skip
        if over:
            self.stop(f"budget.{over[0]}: {over[1]}", budget=over[0])

    def resume(self) -> None:
        """Go on after a stop or a death of the driver."""
        self._write({"event": "resume"})

    def extend(self, budget: Budget) -> None:
        """Change how much to try."""
        self._write({"event": "extend", "budget": budget.model_dump(mode="json")})

    def note(self, record: Record) -> None:
        """A record that changes no trial: the best one's test score, the end."""
        self._write(record)

    # ---- the fold

    def _write(self, record: Record, proposed: bool = False) -> None:
        written = self.log.append(record)
        self._apply(written, proposed=proposed)
        for listener in self.listeners:
            listener(written)

    def _replay(self, record: Record, line: int) -> None:
        if record["event"] == "result":
            trial = self.trials[record["trial"]]
            now = self._decide(trial, record["epoch"], record["metrics"], final=record["final"])
            self._compare(record["decision"], now, line)
        elif record["event"] == "mutate":
            self._compare(record["changes"], self.schedule.exchange(self.trials.values(), record["epoch"]), line)
        self._apply(record, proposed=False)

    def _compare(self, was: Any, now: Any, line: int) -> None:
        if was != now:
            raise LogError(
                f"line {line} says '{was}' where this version decides '{now}'",
                place=str(self.log.path),
                hint="resume with the versions that the log's first line names",
            )

    def _decide(self, trial: Trial, epoch: int, metrics: dict[str, float], *, final: bool) -> str:
        return decision(self.schedule, trial.name, epoch, metrics[self.spec.goal.metric], final=final)

    def _apply(self, record: Record, *, proposed: bool) -> None:
        trial = self.trials.get(record.get("trial", ""))
        self.spending.heard(record)
        match record["event"]:
            case "sweep":
                self.search.inform(known_of(record))
            case "new":
                if not proposed:
                    self.search.adopt(record["number"], record["params"], record["memory"])
                self.trials[record["trial"]] = Trial(record["trial"], record["number"], record["params"])
                self.ancestry.born(record["trial"], record["number"], record["params"])
                self.schedule.add(record["trial"])
            case "stop":
                self.stopped, self.spent = record["reason"], record.get("budget")
            case "resume":
                self.stopped, self.spent, self.excluded = None, None, set()
            case "retry":
                for name in record["trials"]:
                    self._reopen(self.trials[name])
            case "mutate":
                for change in record["changes"]:
                    self._copy(change, record["epoch"])
                self.schedule.exchanged(record["epoch"])
            case "extend":
                self.spec = self.spec.model_copy(update={"budget": Budget(**record["budget"])})
                self.stopped, self.spent = (None, None) if self.spent else (self.stopped, None)
            case "start" | "result" | "fail" | "end" if trial is not None:
                self._apply_to(trial, record)

    def _apply_to(self, trial: Trial, record: Record) -> None:
        if record["event"] == "start":
            trial.attempt, trial.started_ms, trial.dead = record["attempt"], record["ts"], False
            trial.order = trial.order or next(self._orders)
            return
        trial.busy_ms += max(0, record["ts"] - trial.started_ms)
        trial.started_ms = record["ts"]
        trial.host = record.get("host") or trial.host
        if record["event"] == "result":
            trial.epoch, trial.metrics[record["epoch"]] = record["epoch"], record["metrics"]
            self.search.observe(trial.number, trial.epoch, record["metrics"][self.spec.goal.metric])
            if record["checkpoint"]:
                trial.trained_as = None
                trial.checkpoint = trial.checkpoints[record["epoch"]] = record["checkpoint"]
            if record["outcome"]:
                self._over(trial, record["outcome"], None)
        elif record["event"] == "fail":
            trial.died(record)
            if record.get("policy") == "exclude_node":
                self.excluded.add(record["node"])
            if record["final"]:
                self._over(trial, "failed", record["reason"])
        else:
            self._over(trial, record["outcome"], record["reason"])

    def _copy(self, change: Record, epoch: int) -> None:
        self.trials[change["trial"]].copy(self.trials[change["from"]], change, epoch)
        self.ancestry.copied(change["trial"], change["from"], epoch, change["params"])

    def _reopen(self, trial: Trial) -> None:
        trial.open_again()
        self.search.reopen(trial.number)
        self.schedule.add(trial.name)

    def _over(self, trial: Trial, outcome: str, reason: str | None) -> None:
        trial.outcome, trial.reason = outcome, reason
        value = None if outcome == "failed" else self.value(trial)
        latest = trial.metrics[trial.epoch][self.spec.goal.metric] if trial.epoch in trial.metrics else None
        self.schedule.over(trial.name, trial.epoch, None if outcome == "failed" else latest)
        self.search.tell(trial.number, None if outcome == "failed" else self.values(trial))
        if value is not None:
            self.spending.ended(value, self.spec.goal.mode)
