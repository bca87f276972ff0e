"""Hold a log against its spec: the searcher asked again, live, at every proposal; the scheduler at every epoch.

What a sweep did at `concurrent: 2` depends on the order in which results came in. That order is the log's own, so a
replay must find the recorded proposals and decisions, every one of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from gatesweep.storage import Place
from gatesweep.sweep.schedule import decision, scheduler
from gatesweep.sweep.search import known_of, searcher
from gatesweep.sweep.spec import spec_from
from gatesweep.sweep.trial import Trial
from gatesweep.track.log import read
from gatesweep.track.records import Record


@dataclass(frozen=True)
class Difference:
    """The first thing that a replay decides otherwise."""

    line: int
    trial: str
    what: str
    was: Any
    is_now: Any


def replay(where: Place) -> tuple[int, list[Difference]]:
    """How many proposals and decisions a log holds, and those that a fresh searcher and scheduler make otherwise."""
    records = read(where)
    spec = spec_from(records[0]["spec"], place=where.address)
    search, schedule = searcher(spec), scheduler(spec)
    sign = 1.0 if spec.goal.mode == "min" else -1.0
    numbers: dict[str, int] = {}
    trials: dict[str, Trial] = {}
    seen: dict[str, list[dict[str, float]]] = {}
    compared, found = 0, []
    for line, record in enumerate(records, 1):
        trial = record.get("trial", "")
        if record["event"] == "sweep":
            search.inform(known_of(record))
        elif record["event"] == "new":
            compared += 1
            numbers[trial], seen[trial] = record["number"], []
            trials[trial] = Trial(trial, record["number"], record["params"])
            proposal = search.propose(record["number"])
            again = _json(proposal[0]) if proposal else None
            if again != record["params"]:
                found.append(Difference(line, trial, "proposal", record["params"], again))
            schedule.add(trial)
        elif record["event"] == "result":
            compared += 1
            value = record["metrics"][spec.goal.metric]
            seen[trial].append(record["metrics"])
            search.observe(numbers[trial], record["epoch"], value)
            _heard(trials[trial], record)
            decided = decision(schedule, trial, record["epoch"], value, final=record["final"])
            if decided != record["decision"]:
                found.append(Difference(line, trial, "decision", record["decision"], decided))
        elif record["event"] == "mutate":
            compared += 1
            epoch = schedule.due(trials.values())
            changes = [] if epoch is None else schedule.exchange(trials.values(), epoch)
            if (epoch, changes) != (record["epoch"], record["changes"]):
                found.append(Difference(line, "", "exchange", record["changes"], changes))
            for change in record["changes"]:
                trials[change["trial"]].copy(trials[change["from"]], change, record["epoch"])
            schedule.exchanged(record["epoch"])
        elif record["event"] == "retry":
            for name in record["trials"]:
                trials[name].outcome = None
                search.reopen(numbers[name])
                schedule.add(name)
        outcome = _outcome(record)
        if outcome:
            trials[trial].outcome = outcome
            epochs = seen[trial] if outcome != "failed" else []
            schedule.over(trial, len(seen[trial]), epochs[-1][spec.goal.metric] if epochs else None)
            best = min(epochs, key=lambda epoch: sign * epoch[spec.goal.metric], default=None)
            values = [best[goal.metric] for goal in spec.goals] if best else None
            search.tell(numbers[trial], None if values is None or any(map(math.isnan, values)) else values)
    return compared, found


def _heard(trial: Trial, record: Record) -> None:
    trial.epoch, trial.checkpoint = record["epoch"], record["checkpoint"]
    trial.metrics[trial.epoch] = record["metrics"]


def _outcome(record: Record) -> str | None:
    """The outcome that a record gives its trial, if any."""
    if record["event"] == "fail":
        return "failed" if record["final"] else None
    return record.get("outcome") if record["event"] in ("result", "end") else None


def _json(params: dict[str, Any]) -> dict[str, Any]:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in params.items()}
