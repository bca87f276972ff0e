"""The trials as the page holds them: once, in columns, numbers rounded to six digits, words as codes into a list."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from gatesweep.report.axes import Axis, axes
from gatesweep.report.figures import Figure
from gatesweep.report.view import SweepView
from gatesweep.report.words import clean, exact


def columns(view: SweepView) -> list[dict[str, Any]]:
    """One entry per column of the page's table.

    `{key, label, group, values}` for numbers, `{key, label, group, levels, codes}` for words; an absent value is
    null. `group` is trial, objective, param, metric or run.
    """
    trials = view.trials
    others = dict.fromkeys(key for trial in trials for key in trial.metrics if key != view.metric)
    found = [
        _words("trial", "trial", "trial", [trial.label for trial in trials]),
        _words("outcome", "outcome", "trial", [trial.outcome for trial in trials]),
        _numbers(view.metric, view.metric, "objective", [trial.value for trial in trials]),
    ]
    found += [_param(axis, view) for axis in axes(view)]
    found += [
        _numbers("epochs", "epochs", "run", [trial.epochs for trial in trials]),
        _numbers("duration_s", "seconds", "run", [trial.duration_s for trial in trials]),
    ]
    if any(trial.attempts > 1 for trial in trials):
        found.append(_numbers("attempts", "attempts", "run", [trial.attempts for trial in trials]))
    found += [_numbers(key, key, "metric", [trial.metrics.get(key) for trial in trials]) for key in others]
    if any(trial.reason for trial in trials):
        found.append(_words("reason", "reason", "run", [_first_line(trial.reason) for trial in trials]))
    return found


def _param(axis: Axis, view: SweepView) -> dict[str, Any]:
    absent = object()
    values = [trial.params.get(axis.key, absent) for trial in view.trials]
    if axis.scale == "category":
        words = [None if value is absent else exact(value) for value in values]
        return _words(axis.key, axis.label, "param", words, axis.levels)
    return _numbers(axis.key, axis.label, "param", [None if value is absent else value for value in values])


def _numbers(key: str, label: str, group: str, values: Sequence[float | None]) -> dict[str, Any]:
    return {"key": key, "label": clean(label), "group": group, "values": [_rounded(value) for value in values]}


def _rounded(value: float | None) -> float | int | None:
    if value is None or not math.isfinite(value):
        return None
    return value if isinstance(value, int) else float(f"{value:.6g}")


def _words(key: str, label: str, group: str, words: Sequence[str | None], levels: Sequence[str] = ()) -> dict[str, Any]:
    places = {
        level: place
        for place, level in enumerate(dict.fromkeys([*levels, *(word for word in words if word is not None)]))
    }
    return {
        "key": key,
        "label": clean(label),
        "group": group,
        "levels": [clean(level) for level in places],
        "codes": [None if word is None else places[word] for word in words],
    }


def _first_line(reason: str | None) -> str | None:
    return clean(reason).strip().partition("\n")[0][:200] if reason else None


def payload(view: SweepView, figures: Sequence[Figure]) -> dict[str, Any]:
    """Everything that the page's scripts read."""
    best = (
        next((row for row, trial in enumerate(view.trials) if trial.trial_id == view.best), None) if view.best else None
    )
    return {
        "columns": columns(view),
        "metric": view.metric,
        "mode": view.mode,
        "best": best,
        "count": len(view.trials),
        "figures": [
            {"name": figure.name, "rows": figure.rows, "height": figure.height_px, **figure.spec} for figure in figures
        ],
    }
