"""`search.warm_start`: ended trials of earlier sweeps, told to the search before its first proposal.

A trial is taken over where it lies within the new space: every dimension of the new sweep has a value in it, its own or
that of its sweep's experiment, and whatever else its sweep varied is what the new experiment says. What was taken over
stands in the first line of the new sweep's log: nothing of the old sweep is needed afterwards.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gatesweep.config.sections import flat
from gatesweep.errors import ConfigError, NotFound
from gatesweep.storage import Place
from gatesweep.sweep.points import value_in
from gatesweep.sweep.session import place_of
from gatesweep.sweep.space import SET_BY_THE_SWEEP, active, ordered
from gatesweep.sweep.spec import SweepSpec, spec_from
from gatesweep.sweep.where import Where
from gatesweep.track.log import read
from gatesweep.track.records import Record

PLACE = "search.warm_start"
ENOUGH_FOR_CMAES = 10
"""cmaes begins where the best tenth of what it knows lies (Nomura et al., 2021)."""
NOT_COMPARED = ("seed", "name", "keep", *SET_BY_THE_SWEEP)
"""What differs between trials of one sweep too, or changes no result."""


@dataclass
class TakenOver:
    """What the search is told, as the log has it, and what a user should know of it."""

    trials: list[Record] = field(default_factory=list)
    """`{"trial": id, "params": …, "values": […], "curve": [first objective of each epoch]}`."""
    notes: list[str] = field(default_factory=list)


@dataclass
class _Old:
    """A trial of an earlier sweep."""

    params: dict[str, Any]
    metrics: dict[int, dict[str, float]] = field(default_factory=dict)
    outcome: str | None = None


def take_over(spec: SweepSpec, data_md5: Mapping[str, str], home: Path, where: Where = Where()) -> TakenOver:
    """Every usable trial of the sweeps that the spec names.

    Args:
        data_md5: the new sweep's data, digest by set.

    Raises:
        NotFound: no such sweep, in the home folder or in the storage.
        ConfigError: another task or objective; nothing that can be used.
    """
    found = TakenOver()
    for sweep_id in spec.search.warm_start or ():
        _add(found, sweep_id, _log_of(sweep_id, home, where), spec, data_md5)
    if spec.search.warm_start and not found.trials:
        raise ConfigError(f"no trial lies within the space: {'; '.join(found.notes)}", place=PLACE,
                          hint="widen the space, or leave warm_start out")
    if spec.search.name == "cmaes" and 0 < len(found.trials) < ENOUGH_FOR_CMAES:
        raise ConfigError(f"cmaes learns from {ENOUGH_FOR_CMAES} trials on, and here are {len(found.trials)}",
                          place=PLACE, hint="name more sweeps, or use `search: {name: tpe}`")
    return found


def _log_of(sweep_id: str, home: Path, where: Where) -> Place:
    places = [place_of(sweep_id, home, where), place_of(sweep_id, home)]
    for at in places:
        if at.exists("log.jsonl"):
            return at
    raise NotFound(f"no sweep '{sweep_id}'", place=PLACE,
                   hint=f"looked in {' and '.join(dict.fromkeys(at.address for at in places))}; gatesweep list shows"
                        " the sweeps")  # fmt: skip


def _add(found: TakenOver, sweep_id: str, at: Place, spec: SweepSpec, data_md5: Mapping[str, str]) -> None:
    records = read(at)
    old = spec_from(records[0]["spec"], place=at.address)
    _refuse_another_question(sweep_id, old, spec)
    left_out: Counter[str] = Counter()
    before = len(found.trials)
    for name, trial in _folded(records).items():
        values = _values(trial, old)
        params: dict[str, Any] | str = trial.outcome or "not over"
        if trial.outcome in ("completed", "pruned"):
            params = _within(trial.params, old, spec) if values else "without a finite objective"
        if isinstance(params, str):
            left_out[params] += 1
            continue
        curve = [trial.metrics[epoch][spec.goal.metric] for epoch in sorted(trial.metrics)]
        found.trials.append({"trial": f"{sweep_id}/{name}", "params": params, "values": values, "curve": curve})
    used, all_ = len(found.trials) - before, len(found.trials) - before + left_out.total()
    why = ", ".join(f"{count} {reason}" for reason, count in left_out.most_common())
    found.notes.append(f"{sweep_id}: {used} of {all_} trials are known to the search" + (f"; not {why}" if why else ""))
    for note in _differences(old, spec, records[0].get("data", {}), data_md5):
        found.notes.append(f"{sweep_id}: warning: {note}")


def _refuse_another_question(sweep_id: str, old: SweepSpec, new: SweepSpec) -> None:
    was, is_now = ([(goal.metric, goal.mode) for goal in spec.goals] for spec in (old, new))
    if old.experiment.task != new.experiment.task:
        raise ConfigError(f"{sweep_id} is of the task {old.experiment.task}, this sweep of {new.experiment.task}",
                          place=PLACE, hint="name sweeps of the same task")
    if was != is_now:
        said = (", ".join(f"{metric} ({mode})" for metric, mode in goals) for goals in (was, is_now))
        raise ConfigError("{} has the objective {}, this sweep {}".format(sweep_id, *said), place=PLACE,
                          hint="name sweeps of the same objective")


def _folded(records: Sequence[Record]) -> dict[str, _Old]:
    trials: dict[str, _Old] = {}
    for record in records:
        trial = trials.get(record.get("trial", ""))
        if record["event"] == "new":
            trials[record["trial"]] = _Old(record["params"])
        elif record["event"] == "retry":
            for name in record["trials"]:
                trials[name].outcome = None
        elif trial is not None and record["event"] == "result":
            trial.metrics[record["epoch"]] = record["metrics"]
            trial.outcome = record["outcome"] or trial.outcome
        elif trial is not None and record["event"] == "end":
            trial.outcome = record["outcome"]
        elif trial is not None and record["event"] == "fail" and record["final"]:
            trial.outcome = "failed"
    return trials


def _values(trial: _Old, old: SweepSpec) -> list[float] | None:
    """Every objective at the epoch that is best by the first one, as a sweep tells its own trials."""
    sign = 1.0 if old.goal.mode == "min" else -1.0
    usable = [each for each in trial.metrics.values() if not math.isnan(each[old.goal.metric])]
    best = min(usable, key=lambda epoch: sign * epoch[old.goal.metric], default=None)
    values = [best[goal.metric] for goal in old.goals] if best else []
    return values if values and all(map(math.isfinite, values)) else None


def _within(params: Mapping[str, Any], old: SweepSpec, new: SweepSpec) -> dict[str, Any] | str:
    """The trial as a configuration of the new space; in words why it is none."""
    was = {**flat(old.experiment.as_dict()), **params}
    is_now = flat(new.experiment.as_dict())
    found: dict[str, Any] = {}
    for key in ordered(new.space):
        if not active(new.space, key, found):
            continue
        try:
            found[key] = value_in(new.space[key], was.get(key), key, PLACE)
        except ConfigError:
            return f"for their {key}"
    for key, value in params.items():
        if key not in new.space and key not in NOT_COMPARED and value != is_now.get(key):
            return f"for their {key}, which is {is_now.get(key)!r} here"
    return found


def _differences(old: SweepSpec, new: SweepSpec, data_was: Mapping[str, str], data_is: Mapping[str, str]) -> list[str]:
    """What is the same for all trials of each sweep and not the same in both."""
    said = [f"the data '{name}' were {data_was.get(name, 'not there')} and are {data_is.get(name, 'not there')}"
            for name in sorted({*data_was, *data_is}) if data_was.get(name) != data_is.get(name)]
    was, is_now = flat(old.experiment.as_dict()), flat(new.experiment.as_dict())
    fixed = {key for key in {*was, *is_now} - {*old.space, *new.space} if not _is_incidental(key)}
    return said + [f"{key} was {was.get(key)!r} and is {is_now.get(key)!r}" for key in sorted(fixed)
                   if was.get(key) != is_now.get(key)]  # fmt: skip


def _is_incidental(key: str) -> bool:
    return key in NOT_COMPARED or key.partition(".")[0] in NOT_COMPARED
