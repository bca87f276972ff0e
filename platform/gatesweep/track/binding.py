"""Which run of the store is which trial's, and which the sweep's own: found by its tags before it is created.

A create that was sent and not answered may have arrived: the next attempt looks again, and what arrived after all is
deleted as a double. So there is one run a trial, whatever died between any two writes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gatesweep.track import addresses as names
from gatesweep.track.store import Point, Store, StoredRun
from gatesweep.track.view import PARENT, SweepView, TrialView


@dataclass
class Link:
    """What the store has acknowledged of one run."""

    run_id: str | None = None
    doubtful: bool = False
    """A create was sent and not answered: the run may be there."""
    dressed: bool = False
    """Parameters, inputs and artifacts are written."""
    mutations: int = 0
    """How many of the trial's are in them."""
    status: str = "RUNNING"
    tags: dict[str, str] = field(default_factory=dict)

    def take(self, run: StoredRun) -> None:
        """Bound to this run, as the store has it."""
        self.run_id, self.status, self.tags = run.run_id, run.status, dict(run.tags)
        self.doubtful = False


class Binding:
    """The runs of one sweep, by the names of its trials and `PARENT`; what asks a silent store raises StoreError."""

    def __init__(self, store: Store, sweep_id: str, name: str, say: Callable[[str], None]) -> None:
        self._store, self._sweep_id, self._name, self._say = store, sweep_id, name, say
        self._links: dict[str, Link] = {}
        self.experiment_id: str | None = None

    def link(self, name: str) -> Link:
        """What is known of a run, bound or not."""
        return self._links.setdefault(name, Link())

    def run_id(self, name: str) -> str | None:
        """None while it is not bound."""
        found = self._links.get(name)
        return found.run_id if found else None

    def bind_parent(self, tags: Mapping[str, str], born_ms: int) -> None:
        """Find or create the sweep's own run; `tags`: beside those that it is found by."""
        link = self.link(PARENT)
        if link.run_id is None:
            self.experiment_id = self.experiment_id or self._store.experiment(self._name)
            mark = {names.SWEEP_ID: self._sweep_id, names.KIND: "sweep"}
            self._bind(link, mark, lambda: {**mark, **tags}, self._sweep_id, born_ms, search=True)

    def bind_trial(self, name: str, tags: Callable[[], Mapping[str, str]], born_ms: int) -> Link:
        """A trial's link, its run created if need be below the sweep's; `tags`: beside those of its place."""
        link = self.link(name)
        if link.run_id is None:
            mark = {names.TRIAL_ID: f"{self._sweep_id}/{name}"}
            place = {names.SWEEP_ID: self._sweep_id, names.KIND: "trial", names.PARENT: str(self.run_id(PARENT))}
            self._bind(link, mark, lambda: {**mark, **place, **tags()}, name, born_ms, search=False)
        return link

    def _bind(self, link: Link, mark: Mapping[str, str], tags: Callable[[], dict[str, str]], name: str, born_ms: int,
              *, search: bool) -> None:
        """Find the run by its tags or create it; after a create without an answer, look again first."""
        assert self.experiment_id is not None
        found = self._store.find_run(mark, self.experiment_id) if search or link.doubtful else None
        if found is None:
            link.doubtful = True
            found = self._store.create_run(self.experiment_id, name, tags(), born_ms or int(time.time() * 1000))
        link.take(found)

    def recognise(self, view: SweepView) -> set[str]:
        """What the store already has of this sweep: bind it, drop the rows that are there, delete doubles.

        Returns:
            The trials of which the store has everything.
        """
        whole: set[str] = set()
        by_trial: dict[str, list[StoredRun]] = {}
        for run in self._store.runs_of(self._sweep_id, self.experiment_id):
            if names.TRIAL_ID in run.tags:
                by_trial.setdefault(run.tags[names.TRIAL_ID].rpartition("/")[2], []).append(run)
            elif run.run_id == self.run_id(PARENT):
                view.points = self._missing(run, view.points)
        for name, runs in by_trial.items():
            trial = view.trials.get(name)
            if trial is None:
                self._say(f"MLflow has a run of {name}, of which the log knows nothing: left as it is")
            elif self._recognise_trial(view, trial, runs):
                whole.add(name)
        self.delete_doubles()
        return whole

    def _recognise_trial(self, view: SweepView, trial: TrialView, runs: list[StoredRun]) -> bool:
        """Bind a trial to the one of its runs that has most; whether that one is whole."""
        kept = max(runs, key=lambda run: (run.status != "RUNNING", len(run.metrics), -run.started_ms))
        link = self.link(trial.name)
        link.take(kept)
        if not _is_whole(view, trial, kept):
            trial.points = self._missing(kept, trial.points)
            return False
        trial.points.clear()
        link.dressed, link.mutations = True, len(trial.mutations)
        return True

    def _missing(self, run: StoredRun, points: list[Point]) -> list[Point]:
        """The rows that the store does not have."""
        keys = {point.key for point in points} & run.metrics.keys()
        there = {(row.key, row.step) for key in keys for row in self._store.history(run.run_id, key)}
        return [point for point in points if (point.key, point.step) not in there]

    def delete_doubles(self) -> None:
        """Runs of this sweep that carry a bound run's tags and are not it: creates that arrived after all."""
        for run in self._store.runs_of(self._sweep_id, self.experiment_id):
            name = run.tags[names.TRIAL_ID].rpartition("/")[2] if names.TRIAL_ID in run.tags else PARENT
            bound = self.run_id(name)
            if run.tags.get(names.KIND) in ("sweep", "trial") and bound not in (None, run.run_id):
                self._store.delete_run(run.run_id)


def _is_whole(view: SweepView, trial: TrialView, run: StoredRun) -> bool:
    """Closed as it should be: the last status is written after everything else."""
    wanted = {names.OUTCOME: view.outcome_of(trial), names.ATTEMPT: str(trial.attempt)}
    closed = run.status != "RUNNING" and run.status == view.status_of(trial)
    return closed and trial.keys <= run.metrics.keys() and all(run.tags.get(k) == v for k, v in wanted.items())
