"""A sweep's ledger as the plain data that reports, tables and JSON are made of."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping
from typing import Any

from gatesweep.report.view import DeathView, SweepView, TrialView
from gatesweep.sweep.checks import POPULATIONS
from gatesweep.sweep.failures import WORDS
from gatesweep.sweep.ledger import Ledger
from gatesweep.sweep.spending import AFTER_A_REST
from gatesweep.sweep.trial import Trial
from gatesweep.track.records import Record


def trial_view(trial: Trial, ledger: Ledger, sweep_id: str) -> TrialView:
    """One trial."""
    objective = ledger.spec.goal
    best = trial.best_epoch(objective.metric, objective.mode)
    live = trial.name in ledger.running.values() and ledger.stopped is None
    return TrialView(
        trial_id=f"{sweep_id}/{trial.name}",
        number=trial.number,
        params=dict(trial.params_at(best) if best else trial.params),
        outcome=trial.outcome or ("running" if live else "stopped"),  # type: ignore[arg-type]
        metrics=dict(trial.metrics[best]) if best else {},
        best_value=ledger.value(trial),
        epochs=trial.epoch,
        history=[(epoch, values[objective.metric]) for epoch, values in sorted(trial.metrics.items())],
        duration_s=trial.busy_ms / 1000,
        attempts=trial.attempt,
        reason=trial.reason,
        seed=ledger.spec.trial_config(trial.params, trial.number).seed,
        line=_line(trial, ledger),
    )


def _line(trial: Trial, ledger: Ledger) -> list[tuple[int, str, dict[str, Any]]]:
    """What led to the trial's best weights, where trials copy each other."""
    if ledger.spec.scheduler.name not in POPULATIONS:
        return []
    best = trial.best_epoch(ledger.spec.goal.metric, ledger.spec.goal.mode)
    return [(each.after_epoch, f"t{each.number:04d}", dict(each.params))
            for each in ledger.ancestry.line(trial.name, best)]  # fmt: skip


def sweep_view(ledger: Ledger, sweep_id: str, lock: Mapping[str, Any]) -> SweepView:
    """The whole sweep as its log has it.

    Args:
        lock: the content of the sweep's `lock.json`.
    """
    records, spec = ledger.log.records, ledger.spec
    values = spec.as_dict()
    last = _last(records, "best")
    ranked = ledger.ranked()
    code = lock.get("code", {})
    return SweepView(
        sweep_id=sweep_id,
        name=spec.name,
        question=spec.question,
        metric=spec.goal.metric,
        mode=spec.goal.mode,
        space=values["space"],
        search=values["search"],
        scheduler=values["scheduler"],
        budget=values["budget"],
        started=time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(records[0]["ts"] / 1000)),
        wall_s=wall_s(records),
        data=records[0]["data"],
        commit=code.get("commit"),
        dirty=bool(code.get("dirty")),
        trials=[trial_view(trial, ledger, sweep_id) for trial in ledger.trials.values()],
        best=f"{sweep_id}/{ranked[0].name}" if ranked else None,
        goals=[(goal.metric, goal.mode) for goal in spec.goals],
        front=[f"{sweep_id}/{trial.name}" for trial in ledger.front()] if len(spec.goals) > 1 else [],
        baseline=last["baseline"] if last else None,
        test=last["test"] if last else {},
        environment=environment(records[0], lock),
        notes=_notes(records),
        deaths=[
            DeathView(r["trial"], WORDS.get(r.get("class", ""), "unknown"), _then(r), r.get("host", ""))
            for r in records
            if r["event"] == "fail"
        ],
    )


def environment(first: Record, lock: Mapping[str, Any]) -> dict[str, str]:
    """Versions and machine, for a reader."""
    machine = {key: str(value) for key, value in lock.get("machine", {}).items() if isinstance(value, str | int)}
    return {"python": str(lock.get("python", "")), **first["versions"], **machine}


def wall_s(records: list[Record]) -> float:
    """Seconds in which the sweep was being worked on: the time between a death and the next `resume` does not count."""
    total = 0
    for before, after in itertools.pairwise(records):
        if after["event"] not in AFTER_A_REST:
            total += after["ts"] - before["ts"]
    return round(total / 1000, 3)


def _last(records: list[Record], event: str) -> Record | None:
    return next((record for record in reversed(records) if record["event"] == event), None)


def _then(record: Record) -> str:
    if record["final"]:
        return "the trial failed"
    return "tried again on another node" if record.get("policy") == "exclude_node" else "tried again"


def _notes(records: list[Record]) -> list[str]:
    resumed = sum(record["event"] == "resume" for record in records)
    deaths = sum(record["event"] == "fail" and not record["final"] for record in records)
    copies = sum(len(record["changes"]) for record in records if record["event"] == "mutate")
    stops = [f"stopped: {record['reason']}" for record in records if record["event"] == "stop"]
    return [
        *([f"resumed {resumed} times"] if resumed else []),
        *([f"trials copied others {copies} times"] if copies else []),
        *([f"{deaths} attempts died and were tried again"] if deaths else []),
        *stops,
    ]
