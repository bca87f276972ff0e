"""What the sweep found, in words and in a few numbers: the same for the page and for the terminal.

gain = (baseline - ours) / |baseline|        mode min; the sign turned for max
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from gatesweep.report.view import SweepView, TrialView
from gatesweep.report.words import clean, number, shown


@dataclass(frozen=True, slots=True)
class Comparison:
    """One metric of the best trial beside the baseline's; `gain` is positive where the trial is the better one."""

    metric: str
    ours: float
    baseline: float | None
    gain: float | None


def comparisons(view: SweepView) -> list[Comparison]:
    """The objective on validation and on test, then the other test metrics that the baseline has too."""
    best = view.best_trial
    if best is None:
        return []
    ours = {**best.metrics, **({view.metric: best.value} if best.value is not None else {}), **view.test}
    base = view.baseline["metrics"] if view.baseline else {}
    wanted = dict.fromkeys([view.metric, view.test_metric, *view.test])
    return [
        Comparison(name, ours[name], base.get(name), _gain(name, ours[name], base, view))
        for name in wanted
        if name in ours
    ]


def _gain(name: str, ours: float, base: Mapping[str, float], view: SweepView) -> float | None:
    """Only for the objective: whether more is better is known of no other metric."""
    if name not in (view.metric, view.test_metric) or name not in base:
        return None
    return gain(ours, base[name], view.mode)


def gain(ours: float, baseline: float, mode: Literal["min", "max"]) -> float | None:
    """The share by which `ours` is better than `baseline`; None where a share says nothing."""
    if not (math.isfinite(ours) and math.isfinite(baseline)) or baseline == 0:
        return None
    return (baseline - ours if mode == "min" else ours - baseline) / abs(baseline)


def answer(view: SweepView) -> str:
    """The answer in one or two sentences, plain text."""
    best, rows = view.best_trial, comparisons(view)
    if best is None:
        return f"No answer: {_no_best(view)}."
    setting = ", ".join(
        f"{key.rpartition('.')[2] if not key.endswith('.name') else key} {shown(value)}"
        for key, value in best.params.items()
    )
    among = f"the best by {view.metric} of the {len(view.front)} trials on the Pareto front, of" if view.front else (
        "the best of"
    )
    first = f"{best.label} is {among} {len(view.trials):,} trials" + (f", with {setting}." if setting else ".")
    return clean(
        " ".join([first, *(_verdict(row, view) for row in rows if row.metric in (view.metric, view.test_metric))])
    )


def _no_best(view: SweepView) -> str:
    counts = ", ".join(
        f"{count} {outcome}" for outcome, count in view.outcomes().items() if count and outcome != "completed"
    )
    if not view.trials:
        return "the sweep has no trial"
    return f"no trial completed ({counts})" if not view.outcomes()["completed"] else "no completed trial has a value"


def _verdict(row: Comparison, view: SweepView) -> str:
    reached = f"{row.metric} is {number(row.ours)}"
    if view.baseline is None or row.baseline is None:
        return f"{reached}."
    against = f"the baseline {view.baseline['name']} ({number(row.baseline)})"
    if row.gain is None:
        return f"{reached}; {against}."
    if row.gain > 0:
        return f"{reached}, {percent(row.gain)} better than {against}."
    return f"{reached}: it does not beat {against}, " + (
        f"being {percent(-row.gain)} worse." if row.gain else "only equals it."
    )


def percent(share: float) -> str:
    """`34.2%`; small and large shares lose the digits that say nothing."""
    return f"{share * 100:.0f}%" if abs(share) >= 1 else f"{share * 100:.1f}%" if abs(share) >= 0.001 else "under 0.1%"


def again(view: SweepView) -> str | None:
    """The command that trains the best configuration once more, for a shell; None without a best trial or its file."""
    if view.best_trial is None or view.experiment is None:
        return None
    return shlex.join(["gatesweep", "run", clean(view.experiment)])


@dataclass(frozen=True, slots=True)
class Failure:
    """Trials that failed alike: `text` is the first one's reason in full."""

    summary: str
    text: str
    trials: list[TrialView]


def failures(view: SweepView) -> list[Failure]:
    """Failed trials by reason, most frequent first. Reasons that differ only in their numbers are one reason."""
    groups: dict[str, list[TrialView]] = {}
    for trial in view.trials:
        if trial.outcome == "failed":
            groups.setdefault(re.sub(r"\d+(?:\.\d+)?(?:e[-+]?\d+)?", "#", _headline(trial)), []).append(trial)
    found = [Failure(_headline(trials[0]), clean(trials[0].reason or ""), trials) for trials in groups.values()]
    return sorted(found, key=lambda failure: -len(failure.trials))


def _headline(trial: TrialView) -> str:
    """The line that says what happened: a traceback says it last, every other text first."""
    lines = [line.strip() for line in clean(trial.reason or "").splitlines() if line.strip()]
    if not lines:
        return "no reason was recorded"
    return lines[-1] if any(line.startswith("Traceback") for line in lines) else lines[0]
