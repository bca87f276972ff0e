"""MLflow as a projection of a sweep's log: what the log says against what the store has, and writing the difference.

Every write is idempotent: a run is looked up by tag before it is created, timestamps come from the log (the same
point twice is one row), a run's last status comes after everything else of it, the sweep's own after those of its
trials. So a first start, a retry after a silent tracker and a restart after a dead driver are one and the same road.

    bind -> dress (inputs, artifacts) -> rows, tags and parameters in one batch -> status
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from gatesweep.config.digest import digest
from gatesweep.track import addresses as names
from gatesweep.track.dress import as_yaml, identity, param_texts, sweep_note
from gatesweep.track.inputs import Pinned
from gatesweep.track.lineage import Lock
from gatesweep.track.records import Record
from gatesweep.track.shared_view import shared_view
from gatesweep.track.store import Point, Refused, Store, StoredRun
from gatesweep.track.view import PARENT, SweepView, TrialView

REPORT = "report/index.html"
"""Where the sweep's page lies among the artifacts of its own run."""

TrialConfig = Callable[[Mapping[str, Any], int], Mapping[str, Any]]
"""A trial's whole configuration as plain JSON, from its parameters and its number."""


@dataclass
class _Link:
    """What the store has acknowledged of one run."""

    run_id: str | None = None
    doubtful: bool = False
    """A create was sent and not answered: the run may be there."""
    dressed: bool = False
    """Parameters, inputs and artifacts are written."""
    status: str = "RUNNING"
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Copy:
    """Files on their way to the artifacts of a trial's run, or the sweep's own."""

    run: str
    path: Path
    artifact_path: str | None


@dataclass(frozen=True)
class Ending:
    """The sweep is over for now."""

    outcome: str
    summary: str


class Projection:
    """The runs of one sweep, called by one thread. After a `StoreError` out of `write`, call it again."""

    def __init__(self, store: Store, sweep_id: str, name: str, question: str, trial_config: TrialConfig, lock: Lock,
                 datasets: Sequence[Pinned], say: Callable[[str], None]) -> None:
        self._store, self._sweep_id, self._name, self._question = store, sweep_id, name, question
        self._trial_config, self._lock, self._datasets, self._say = trial_config, lock, datasets, say
        self._view = SweepView()
        self._links: dict[str, _Link] = {}
        self._dirty: set[str] = set()
        self._copies: list[Copy] = []
        self._ending: Ending | None = None
        self._refused: set[str] = set()
        self.experiment_id: str | None = None
        self.recognised = False
        """What the store already had of this sweep has been looked at."""

    def take(self, item: Record | Copy | Ending) -> None:
        """What happened; nothing is written yet."""
        if isinstance(item, Copy):
            self._copies.append(item)
        elif isinstance(item, Ending):
            self._ending = item
            if self._view.outcome is None:
                self._dirty |= self._view.turn(item.outcome, int(time.time() * 1000))
        else:
            self._dirty |= self._view.fold(item)

    def run_id(self, name: str) -> str | None:
        """The run of a trial, or of the sweep (`PARENT`); none while it is not bound."""
        link = self._links.get(name)
        return link.run_id if link else None

    @property
    def unsent(self) -> int:
        """Values, files and states that the store has not acknowledged."""
        rows = len(self._view.points) + sum(len(trial.points) for trial in list(self._view.trials.values()))
        return rows + len(self._dirty) + len(self._copies) + (self._ending is not None)

    def write(self) -> None:
        """Everything that the store does not have yet.

        Raises:
            StoreError: the store does not answer.
        """
        if not self.recognised:
            self.bind_parent()
            self._recognise()
            self.recognised = True
        for name in sorted(self._dirty - {PARENT}):
            self._guarded(name, partial(self._write_trial, self._view.trials[name]))
            self._dirty.discard(name)
        if PARENT in self._dirty:
            self._guarded(PARENT, self._write_parent)
            self._dirty.discard(PARENT)
        while self._copies:
            self._guarded(self._copies[0].run, partial(self._copy, self._copies[0]))
            del self._copies[0]
        if self._ending is not None:
            self._guarded(PARENT, partial(self._end, self._ending))
            self._ending = None

    def _guarded(self, name: str, step: Callable[[], None]) -> None:
        """A step that the store refuses for good is said once per run and left out; the others go on."""
        try:
            step()
        except Refused as error:
            trial = self._view.trials.get(name)
            (self._view.points if trial is None else trial.points).clear()
            if name not in self._refused:
                self._refused.add(name)
                self._say(f"MLflow refuses values of {name or 'the sweep'}: {error.message}")

    # ---- runs

    def _link(self, name: str) -> _Link:
        return self._links.setdefault(name, _Link())

    def bind_parent(self) -> None:
        """Find or create the sweep's own run.

        Raises:
            StoreError: the store does not answer.
        """
        link = self._link(PARENT)
        if link.run_id is not None:
            return
        self.experiment_id = self.experiment_id or self._store.experiment(self._name)
        mark = {names.SWEEP_ID: self._sweep_id, names.KIND: "sweep"}
        self._bind(link, mark, lambda: {**mark, **self._common(), names.NOTE: self._question}, self._sweep_id,
                   self._view.born_ms, search=True)

    def _bind(self, link: _Link, mark: Mapping[str, str], tags: Callable[[], dict[str, str]], name: str,
              born_ms: int, *, search: bool) -> None:
        """Find the run by its tags or create it; after a create without an answer, look again first."""
        assert self.experiment_id is not None
        found = self._store.find_run(mark, self.experiment_id) if search or link.doubtful else None
        if found is None:
            link.doubtful = True
            found = self._store.create_run(self.experiment_id, name, tags(), born_ms or int(time.time() * 1000))
        link.run_id, link.status, link.tags = found.run_id, found.status, dict(found.tags)
        link.doubtful = False

    def _common(self) -> dict[str, str]:
        return identity(self._lock, self._datasets)

    def _recognise(self) -> None:
        """What the store already has of this sweep: bind it, drop the rows that are there, delete doubles."""
        assert self.experiment_id is not None
        by_trial: dict[str, list[StoredRun]] = {}
        for run in self._store.runs_of(self._sweep_id, self.experiment_id):
            if names.TRIAL_ID in run.tags:
                by_trial.setdefault(run.tags[names.TRIAL_ID].rpartition("/")[2], []).append(run)
            elif run.run_id == self.run_id(PARENT):
                self._view.points = self._missing(run, self._view.points)
        for name, runs in by_trial.items():
            trial = self._view.trials.get(name)
            if trial is None:
                self._say(f"MLflow has a run of {name}, of which the log knows nothing: left as it is")
                continue
            kept = max(runs, key=lambda run: (run.status != "RUNNING", len(run.metrics), -run.started_ms))
            link = self._link(name)
            link.run_id, link.status, link.tags = kept.run_id, kept.status, dict(kept.tags)
            if self._is_whole(trial, kept):
                trial.points.clear()
                link.dressed = True
                self._dirty.discard(name)
            else:
                trial.points = self._missing(kept, trial.points)
        self._delete_doubles()

    def _is_whole(self, trial: TrialView, run: StoredRun) -> bool:
        """Closed as it should be: the last status is written after everything else."""
        wanted = {names.OUTCOME: self._view.outcome_of(trial), names.ATTEMPT: str(trial.attempt)}
        closed = run.status != "RUNNING" and run.status == self._view.status_of(trial)
        return closed and trial.keys <= run.metrics.keys() and all(run.tags.get(k) == v for k, v in wanted.items())

    def _missing(self, run: StoredRun, points: list[Point]) -> list[Point]:
        """The rows that the store does not have."""
        keys = {point.key for point in points} & run.metrics.keys()
        there = {(row.key, row.step) for key in keys for row in self._store.history(run.run_id, key)}
        return [point for point in points if (point.key, point.step) not in there]

    def _delete_doubles(self) -> None:
        """Runs of this sweep that carry a bound run's tags and are not it: creates that arrived after all."""
        for run in self._store.runs_of(self._sweep_id, self.experiment_id):
            name = run.tags[names.TRIAL_ID].rpartition("/")[2] if names.TRIAL_ID in run.tags else PARENT
            bound = self.run_id(name)
            if run.tags.get(names.KIND) in ("sweep", "trial") and bound not in (None, run.run_id):
                self._store.delete_run(run.run_id)

    # ---- writing

    def _write_trial(self, trial: TrialView) -> None:
        link = self._link(trial.name)
        if link.run_id is None:
            mark = {names.TRIAL_ID: f"{self._sweep_id}/{trial.name}"}
            self._bind(link, mark, lambda: {**mark, names.SWEEP_ID: self._sweep_id, names.KIND: "trial",
                                            names.PARENT: str(self.run_id(PARENT)), **self._common(),
                                            names.CONFIG_DIGEST: self._lock_of(trial).config_digest},
                       trial.name, trial.born_ms, search=False)
        params = {} if link.dressed else self._dress(trial, link)
        outcome = self._view.outcome_of(trial)
        tags = {names.ATTEMPT: str(trial.attempt), names.OUTCOME: outcome or "", names.REASON: trial.reason or ""}
        self._settle(link, trial.points, tags, params, self._view.status_of(trial), self._view.ended_ms_of(trial))
        link.dressed = True

    def _settle(self, link: _Link, points: list[Point], tags: dict[str, str], params: Mapping[str, str], status: str,
                ended_ms: int) -> None:
        """Reopen if need be; then rows, tags and parameters in one batch; then the closing status, last."""
        run_id = link.run_id
        assert run_id is not None
        if status == "RUNNING" != link.status:
            self._store.reopen(run_id)
            link.status = status
        changed = {key: value for key, value in tags.items() if link.tags.get(key, "") != value}
        sent = len(points)
        if sent or changed or params:
            self._store.log_batch(run_id, points, params, changed)
            del points[:sent]
            link.tags.update(changed)
        if status != link.status:
            self._store.set_terminated(run_id, status, ended_ms)
            link.status = status

    def _lock_of(self, trial: TrialView) -> Lock:
        config = self._trial_config(trial.params, trial.number)
        seed = config.get("seed")
        return self._lock.with_config(config, {"seed": seed} if isinstance(seed, int) else None)

    def _dress(self, trial: TrialView, link: _Link) -> dict[str, str]:
        """Inputs and artifacts; the parameters to send along with the first values."""
        lock = self._lock_of(trial)
        self._accompany(str(link.run_id), lock, {"config.yaml": as_yaml(lock.config)})
        return param_texts(trial.params)

    def _accompany(self, run_id: str, lock: Lock, files: Mapping[str, str]) -> None:
        texts = {**files, "lock.json": lock.text()} | ({"diff.patch": lock.diff} if lock.diff else {})
        for name, text in texts.items():
            self._store.write_text(run_id, name, text)
        self._store.log_inputs(run_id, self._datasets)

    def _write_parent(self) -> None:
        link, view = self._link(PARENT), self._view
        if not link.dressed:
            self._accompany(str(link.run_id), self._lock, {"sweep.yaml": as_yaml(view.spec)})
            page = shared_view(self._sweep_id, view.spec)
            if page and self.experiment_id is not None:
                self._store.set_experiment_tag(self.experiment_id, names.SHARED_VIEW + self._sweep_id, page)
        tags = {names.OUTCOME: view.outcome or "", names.BEST_TRIAL: view.best_trial or "",
                names.BASELINE: view.baseline,
                names.CONFIG_DIGEST: digest(view.spec)}
        self._settle(link, view.points, tags, {}, view.status_of(None), view.ended_ms)
        link.dressed = True

    def _pages(self) -> dict[str, str]:
        """The ways on from the sweep's own run, without a host: they hold wherever the store is served."""
        experiment, parent = self.experiment_id or "", self.run_id(PARENT) or ""
        return {"All trials": names.trials_address(experiment, self._sweep_id, ""),
                "charts": names.charts_address(experiment, self._sweep_id, ""),
                "report": names.artifact_address(experiment, parent, REPORT, "")}

    def _copy(self, copy: Copy) -> None:
        run_id = self.run_id(copy.run)
        if run_id is None or not copy.path.exists():
            self._say(f"not copied to MLflow: {copy.path} ({'it is gone' if run_id else f'no run of {copy.run}'})")
        else:
            self._store.log_artifacts(run_id, copy.path, copy.artifact_path)

    def _end(self, ending: Ending) -> None:
        """Doubles away, the note, and the sweep's last status."""
        assert self.experiment_id is not None
        self._delete_doubles()
        view = self._view
        view.outcome = ending.outcome
        ranked = view.ranked()
        note = sweep_note(self._question, ending.summary, view.objective, ranked, self._pages())
        tags = {names.NOTE: note, names.OUTCOME: ending.outcome}
        self._settle(self._link(PARENT), view.points, tags, {}, view.status_of(None), view.ended_ms)
