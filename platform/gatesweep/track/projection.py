"""MLflow as a projection of a sweep's log: what the log says against what the store has, and writing the difference.

Every write is idempotent: `binding.py` finds a run before it creates one, timestamps come from the log (the same point
twice is one row), a run's last status comes after everything else of it, the sweep's own after those of its trials. So
a first start, a retry after a silent tracker and a restart after a dead driver are one and the same road.

    bind -> dress (inputs, artifacts) -> rows, tags and parameters in one batch -> status
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from gatesweep.config.changes import with_changes
from gatesweep.config.digest import digest
from gatesweep.track import addresses as names
from gatesweep.track.binding import Binding, Link
from gatesweep.track.dress import as_yaml, identity, param_texts, sweep_note
from gatesweep.track.inputs import Pinned
from gatesweep.track.lineage import Lock
from gatesweep.track.records import Record
from gatesweep.track.shared_view import shared_view
from gatesweep.track.store import Point, Refused, Store
from gatesweep.track.view import PARENT, SweepView, TrialView

REPORT = "report/index.html"
"""Where the sweep's page lies among the artifacts of its own run."""

TrialConfig = Callable[[Mapping[str, Any], int], Mapping[str, Any]]
"""A trial's whole configuration as plain JSON, from its parameters and its number."""


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
        self._store, self._sweep_id, self._question = store, sweep_id, question
        self._trial_config, self._lock, self._datasets, self._say = trial_config, lock, datasets, say
        self._view = SweepView()
        self._runs = Binding(store, sweep_id, name, say)
        self._dirty: set[str] = set()
        self._copies: list[Copy] = []
        self._ending: Ending | None = None
        self._refused: set[str] = set()
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
        return self._runs.run_id(name)

    @property
    def experiment_id(self) -> str | None:
        """The MLflow experiment; none until the sweep's own run is bound."""
        return self._runs.experiment_id

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
            self._dirty -= self._runs.recognise(self._view)
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

    def bind_parent(self) -> None:
        """Find or create the sweep's own run.

        Raises:
            StoreError: the store does not answer.
        """
        self._runs.bind_parent({**self._common(), names.NOTE: self._question}, self._view.born_ms)

    def _common(self) -> dict[str, str]:
        return identity(self._lock, self._datasets)

    def _write_trial(self, trial: TrialView) -> None:
        link = self._runs.bind_trial(
            trial.name, lambda: {**self._common(), names.CONFIG_DIGEST: self._lock_of(trial).config_digest},
            trial.born_ms)
        fresh = not link.dressed or link.mutations != len(trial.mutations)
        params = self._dress(trial, link) if fresh else {}
        outcome = self._view.outcome_of(trial)
        tags = {names.ATTEMPT: str(trial.attempt), names.OUTCOME: outcome or "", names.REASON: trial.reason or "",
                names.FAILURES: ", ".join(trial.deaths), names.WEIGHTS: trial.weights if outcome else ""}
        if fresh:  # with the files that they are the digests of
            lock = self._lock_of(trial)
            tags |= {names.LOCK_DIGEST: lock.digest, names.CONFIG_DIGEST: lock.config_digest}
        if trial.mutations:
            tags[names.DONOR] = "{from} after {epoch}".format(**trial.mutations[-1])
        self._settle(link, trial.points, tags, params, self._view.status_of(trial), self._view.ended_ms_of(trial))
        link.dressed, link.mutations = True, len(trial.mutations)

    def _settle(self, link: Link, points: list[Point], tags: dict[str, str], params: Mapping[str, str], status: str,
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
        line = self._view.ancestry.line(trial.name)
        config = with_changes([(each.after_epoch, self._trial_config(each.params, each.number)) for each in line])
        seed = config.get("seed")
        return self._lock.with_config(config, {"seed": seed} if isinstance(seed, int) else None)

    def _dress(self, trial: TrialView, link: Link) -> dict[str, str]:
        """Inputs and artifacts; the parameters to send along with the first values."""
        lock = self._lock_of(trial)
        files = {"config.yaml": as_yaml(lock.config)}
        if trial.mutations:
            files["mutations.jsonl"] = "".join(json.dumps(each) + "\n" for each in trial.mutations)
        self._accompany(str(link.run_id), lock, files)
        return param_texts(trial.params)

    def _accompany(self, run_id: str, lock: Lock, files: Mapping[str, str]) -> None:
        texts = {**files, "lock.json": lock.text()} | ({"diff.patch": lock.diff} if lock.diff else {})
        for name, text in texts.items():
            self._store.write_text(run_id, name, text)
        self._store.log_inputs(run_id, self._datasets)

    def _write_parent(self) -> None:
        link, view = self._runs.link(PARENT), self._view
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
        self._runs.delete_doubles()
        view = self._view
        view.outcome = ending.outcome
        ranked = view.ranked()
        note = sweep_note(self._question, ending.summary, view.objective, ranked, self._pages())
        tags = {names.NOTE: note, names.OUTCOME: ending.outcome}
        self._settle(self._runs.link(PARENT), view.points, tags, {}, view.status_of(None), view.ended_ms)
