"""From their names to our keys, each value tried on the experiment before it is taken."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gatesweep.config.loader import did_you_mean
from gatesweep.errors import ConfigError
from gatesweep.sweep.imported.draft import Draft
from gatesweep.sweep.imported.found import Foreign, Parameter
from gatesweep.sweep.imported.names import our_key, our_metric, our_value
from gatesweep.sweep.imported.target import Target
from gatesweep.sweep.imported.writing import flow

GOLDEN = 0.381966
"""A place within a range that is no whole number and no half."""


def mapped(found: Foreign, target: Target, renames: Mapping[str, str]) -> Draft:
    """The sweep in our words.

    Raises:
        ConfigError: a `--rename` that leads nowhere, or no dimension that the experiment has.
    """
    _check_renames(found, target, renames)
    draft = Draft(found.kind, found.report, question=found.question, search=dict(found.search),
                  scheduler=dict(found.scheduler), budget=dict(found.budget), failure=dict(found.failure))  # fmt: skip
    draft.objective = _objective(found, target, renames)
    for name in _constants_first(found):
        key = renames.get(name) or our_key(name, target.known)
        if key is None:
            _unknown(name, found, target, draft)
        elif key in draft.mapped.values():
            first = next(theirs for theirs, ours in draft.mapped.items() if ours == key)
            why = f"'{first}' is {key} already; --rename {name}=… gives it a key of its own"
            _leave(name, key, why, found, draft)
        elif name in found.unusual:
            draft.commented.append(f"{flow(key)}: {found.unusual[name]}")
        else:
            target = _take(name, key, found, target, draft)
    if found.epochs is not None:
        draft.constants.setdefault("trainer.max_epochs", str(found.epochs))
    if not draft.space:
        theirs = next(iter([*found.parameters, *found.unusual]), "theirs")
        raise ConfigError("nothing to search is left: no parameter has a range or choices under a key of ours",
                          place=found.report.place, hint=f"--rename {theirs}=model.hidden_size names one")  # fmt: skip
    return draft


def _constants_first(found: Foreign) -> list[str]:
    """The parameters in the order in which they are tried: ranges and choices beside what has one value."""
    ordered = sorted(found.parameters, key=lambda name: found.parameters[name].kind != "value")
    return [*ordered, *found.unusual]


def _check_renames(found: Foreign, target: Target, renames: Mapping[str, str]) -> None:
    dimensions = [*found.parameters, *found.unusual]
    theirs = [*dimensions, *([found.metric] if found.metric else [])]
    for name, key in renames.items():
        if name not in theirs:
            raise ConfigError(f"there is no parameter or metric '{name}'", place=f"--rename {name}={key}",
                              hint=did_you_mean(name, theirs))  # fmt: skip
        if name in dimensions and target.experiment and key not in target.known:
            raise ConfigError(f"the experiment has no '{key}'", place=f"--rename {name}={key}",
                              hint=did_you_mean(key, target.known))  # fmt: skip
    parameters = [key for name, key in renames.items() if name in dimensions]
    for key in parameters:
        if parameters.count(key) > 1:
            raise ConfigError(f"two parameters are renamed to '{key}'", place="--rename", hint="leave one of them out")


def _objective(found: Foreign, target: Target, renames: Mapping[str, str]) -> dict[str, str] | None:
    """Their metric; the experiment's own where there is none, or where the task does not report it."""
    report = found.report
    if found.metric is not None:
        said, sure = our_metric(found.metric)
        metric = renames.get(found.metric, said)
        known = target.metrics
        if metric.partition("/")[0] in ("val", "train") and (known is None or metric in known):
            if not sure and found.metric not in renames:
                report.note(f"{found.metric_key}: '{found.metric}' is taken for {metric}; --rename says otherwise")
            return {"metric": metric, "mode": found.mode}
        why = f"one of: {', '.join(sorted(known))}" if known else "val/… and train/loss are reported every epoch"
        report.skip(found.metric_key, found.metric, f"is not reported while trials train; {why} (--rename)")
        if found.budget.get("target") is not None:
            report.skip("goal" if found.kind.startswith("Katib") else "metric.target", found.budget.pop("target"),
                        "is a value of a metric that could not be mapped")  # fmt: skip
    if target.experiment is None:
        return None
    trainer = target.experiment.trainer
    report.note(f"objective: the experiment's own trainer.monitor, {trainer.monitor} ({trainer.mode})")
    return {"metric": trainer.monitor, "mode": trainer.mode}


def _unknown(name: str, found: Foreign, target: Target, draft: Draft) -> None:
    where = "the experiment has no key of that name" if target.experiment else "its name is not known here"
    _leave(name, name, f"{where}; --rename {name}=OURS", found, draft)


def _leave(name: str, key: str, why: str, found: Foreign, draft: Draft) -> None:
    """List a parameter and keep it as a comment."""
    if name in found.unusual:
        draft.commented.append(f"{flow(key)}: {found.unusual[name]}")
        return
    parameter = found.parameters[name]
    draft.report.skip(_place(name, found), parameter.given, why)
    draft.commented.append(f"{flow(key)}: {flow(spelling(parameter))}")


def _take(name: str, key: str, found: Foreign, target: Target, draft: Draft) -> Target:
    """A parameter into the space, or into the experiment where it has one value: what the rest is tried beside."""
    parameter = found.parameters[name]
    taken = _range(name, key, found, target, draft) if parameter.is_range else _listed(name, key, found, target, draft)
    if taken is None:
        return target
    draft.mapped[name] = key
    if taken.kind == "value" and key != "seed":
        draft.constants[key] = taken.values[0]
        return target.with_value(key, taken.values[0])
    draft.space[key] = spelling(taken)
    return target


def _listed(name: str, key: str, found: Foreign, target: Target, draft: Draft) -> Parameter | None:
    """The values that the experiment can take, in its own words."""
    parameter, values = found.parameters[name], []
    refused: list[tuple[Any, str]] = []
    for given in parameter.values:
        value = our_value(key, given)
        why = target.refusal(key, value)
        if why is not None:
            refused.append((given, why))
        elif value not in values:
            values.append(value)
            if value != given and isinstance(given, str) and value != given.lower():
                draft.report.note(f"{_place(name, found)}: '{given}' is called {value} here")
    if not values:
        _leave(name, key, refused[0][1], found, draft)
        return None
    for given, why in refused:
        draft.report.skip(_place(name, found), given, why)
    return replace(parameter, values=tuple(values))


def _range(name: str, key: str, found: Foreign, target: Target, draft: Draft) -> Parameter | None:
    """The range, of whole numbers where the experiment takes no others."""
    parameter = found.parameters[name]
    low, high = (float(each) for each in parameter.values)
    if "int" not in parameter.kind and target.refusal(key, low + GOLDEN * (high - low)) is not None:
        first, last = math.ceil(low), math.floor(high)
        if first < last and not any(target.refusal(key, each) for each in (first, last)):
            draft.report.note(f"{_place(name, found)}: {key} is a whole number, so its range is too")
            kind: Any = parameter.kind.replace("uniform", "int_uniform")
            return replace(parameter, kind=kind, values=(str(first), str(last)))
    for end in parameter.values:
        why = target.refusal(key, end)
        if why is not None:
            _leave(name, key, why, found, draft)
            return None
    return parameter


def spelling(parameter: Parameter) -> dict[str, Any]:
    """A parameter as a dimension of our file."""
    kind = "choice" if parameter.kind == "value" else parameter.kind
    return {kind: list(parameter.values)}


def _place(name: str, found: Foreign) -> str:
    return f"{'spec.' if found.kind.startswith('Katib') else ''}parameters.{name}"
