"""The trials as a table: one row per trial, every digit kept, for `trials.csv` and `Sweep.trials()`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from gatesweep.report.axes import is_number
from gatesweep.report.view import SweepView, TrialView
from gatesweep.report.words import clean, exact

_ABSENT = object()
_FIRST = ("trial_id", "number", "outcome")
_LAST = ("pareto", "epochs", "duration_s", "attempts", "reason")


def trials_frame(view: SweepView) -> pd.DataFrame:
    """One row per trial, in the order of their numbers.

    Columns: trial_id, number, outcome, the objective, the parameters, the other metrics at the best epoch, pareto (with
    several objectives: whether it is on the front), epochs, duration_s, attempts, reason. A conditional parameter that
    was not drawn is missing; the value None of a choice is the word `none`. A parameter named like another column is
    called `params.<name>`.
    """
    trials = sorted(view.trials, key=lambda trial: trial.number)
    params = dict.fromkeys(key for trial in trials for key in trial.params)
    metrics = dict.fromkeys(key for trial in trials for key in trial.metrics if key != view.metric)
    taken = {*_FIRST, *_LAST, *metrics, view.metric}
    columns: dict[str, Any] = {name: [getattr(trial, name) for trial in trials] for name in _FIRST}
    columns[view.metric] = _floats([trial.value for trial in trials])
    for key in params:
        columns[f"params.{key}" if key in taken else key] = _values(
            [trial.params.get(key, _ABSENT) for trial in trials]
        )
    columns |= {key: _floats([trial.metrics.get(key) for trial in trials]) for key in metrics}
    if view.front:
        front = set(view.front)
        columns["pareto"] = [trial.trial_id in front for trial in trials]
    return pd.DataFrame(columns | _ends(trials))


def _ends(trials: Sequence[TrialView]) -> dict[str, Any]:
    return {
        "epochs": pd.array([trial.epochs for trial in trials], dtype="int64"),
        "duration_s": _floats([trial.duration_s for trial in trials]),
        "attempts": pd.array([trial.attempts for trial in trials], dtype="int64"),
        "reason": pd.Series([None if trial.reason is None else clean(trial.reason) for trial in trials], dtype="str"),
    }


def _floats(values: Sequence[float | None]) -> Any:
    return pd.array([float("nan") if value is None else float(value) for value in values], dtype="float64")


def _values(values: Sequence[Any]) -> Any:
    """The narrowest type that holds a parameter's values, so that 64 stays 64 where some trials have none."""
    drawn = [value for value in values if value is not _ABSENT]
    if drawn and all(isinstance(value, bool) for value in drawn):
        return pd.array(
            [pd.NA if value is _ABSENT else value for value in values],
            dtype="bool" if len(drawn) == len(values) else "boolean",
        )
    if drawn and all(isinstance(value, int) and not isinstance(value, bool) for value in drawn):
        return pd.array(
            [pd.NA if value is _ABSENT else value for value in values],
            dtype="int64" if len(drawn) == len(values) else "Int64",
        )
    if drawn and all(is_number(value) for value in drawn):
        return _floats([None if value is _ABSENT else value for value in values])
    return pd.Series([None if value is _ABSENT else clean(exact(value)) for value in values], dtype="str")
