"""What a report is made of: plain data that the caller fills from the sweep's log.

Nothing here knows how a sweep runs, so that a page can be written again years later from the log alone.
Names: `metric` is the objective, `<split>/<name>`; a trial's `value` is the objective at its best epoch.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict

Outcome = Literal["completed", "pruned", "failed", "stopped", "running"]
OUTCOMES: tuple[Outcome, ...] = ("completed", "pruned", "failed", "stopped", "running")


class Baseline(TypedDict):
    """A prediction without a model, scored on the same splits: its name and `<split>/<name>` -> score."""

    name: str
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class TrialView:
    """One trial, whatever became of it.

    Args:
        trial_id: `<sweep_id>/t0007`.
        params: the dimensions' values; a conditional dimension that was not drawn is absent.
        metrics: every metric at the best epoch, `<split>/<name>`.
        best_value: the objective there; None where no epoch ended.
        history: `(epoch, objective)`, in order.
        reason: why it failed or was stopped, as the log says; may hold a whole traceback.
        seed: the trial's own seed, for the line that trains it again.
        line: where trials copy each other: all that led to its best weights, oldest first, as
            `(after epoch, the trial that trained them then, its values)`.
    """

    trial_id: str
    number: int
    outcome: Outcome
    params: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    best_value: float | None = None
    epochs: int = 0
    history: Sequence[tuple[int, float]] = ()
    duration_s: float | None = None
    attempts: int = 1
    reason: str | None = None
    seed: int | None = None
    line: Sequence[tuple[int, str, Mapping[str, Any]]] = ()

    @property
    def label(self) -> str:
        """`t0007`: the part of the identity that differs within a sweep."""
        return self.trial_id.rpartition("/")[2]

    @property
    def value(self) -> float | None:
        """The objective, or None where there is none that can be compared."""
        return self.best_value if self.best_value is not None and math.isfinite(self.best_value) else None


@dataclass(frozen=True, slots=True)
class DeathView:
    """One attempt that died, whatever followed.

    Args:
        trial: `t0007`.
        kind: why, in words: `out of memory`.
        then: what followed, in words: `tried again`.
        host: where, if that is known.
    """

    trial: str
    kind: str
    then: str
    host: str = ""


@dataclass(frozen=True, slots=True)
class SweepView:
    """One sweep, finished or not.

    Args:
        space: dimension -> its plain spec, e.g. `{"log_uniform": [1e-4, 1e-1]}`.
        search, scheduler, budget: as the sweep's file has them, a name or a mapping.
        started: ISO 8601.
        data: set's name -> its digest in `data.dvc`.
        goals: every objective, `(metric, mode)`, the first one first.
        front: with several, the ids of the trials on the Pareto front, the best by the first objective first.
        best: the best trial's id, or None where no trial completed.
        test: the best trial's metrics on the test split, `test/<name>`.
        environment: versions and machine, name -> text.
        experiment: a file with the best trial's whole configuration, its seed too, to train it again.
    """

    sweep_id: str
    name: str
    question: str
    metric: str
    mode: Literal["min", "max"]
    space: Mapping[str, Any]
    search: Any
    scheduler: Any
    budget: Any
    started: str
    wall_s: float
    data: Mapping[str, str]
    commit: str | None
    dirty: bool
    trials: Sequence[TrialView]
    best: str | None = None
    goals: Sequence[tuple[str, Literal["min", "max"]]] = ()
    front: Sequence[str] = ()
    baseline: Baseline | None = None
    test: Mapping[str, float] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()
    deaths: Sequence[DeathView] = ()
    experiment: str | None = None

    @property
    def best_trial(self) -> TrialView | None:
        """The trial that `best` names."""
        return next((trial for trial in self.trials if trial.trial_id == self.best), None) if self.best else None

    @property
    def front_trials(self) -> list[TrialView]:
        """The trials that `front` names, in its order."""
        by_id = {trial.trial_id: trial for trial in self.trials}
        return [by_id[trial_id] for trial_id in self.front]

    @property
    def test_metric(self) -> str:
        """The objective's name on the test split: `val/mae` -> `test/mae`."""
        return "test/" + self.metric.rpartition("/")[2]

    def outcomes(self) -> dict[Outcome, int]:
        """How many trials ended how; outcomes that did not occur count 0, except `running`, which is left out."""
        counted = Counter(trial.outcome for trial in self.trials)
        return {outcome: counted[outcome] for outcome in OUTCOMES if counted[outcome] or outcome != "running"}

    def ranking(self) -> list[TrialView]:
        """Trials with a value and no failure, the best first: what counts is the best epoch, whatever ended it."""
        sign = 1.0 if self.mode == "min" else -1.0
        alive = [trial for trial in self.trials if trial.outcome != "failed"]
        valued = [(trial, value) for trial in alive if (value := trial.value) is not None]
        valued.sort(key=lambda pair: (sign * pair[1], pair[0].trial_id != self.best, pair[0].number))
        return [trial for trial, _ in valued]
