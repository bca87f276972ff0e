"""One configuration over several seeds: the spread that a single score does not show.

    seeds of a run with seed s: s, s + 1, …, s + n - 1 (modulo 2³²)

A seed whose training is already there is not trained again: a completed run of the same configuration, on the same
data, from the same code. An interrupted one is gone on with, if nothing has changed since. Else the seed is trained,
and it is said why.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from gatesweep.config.loader import override
from gatesweep.errors import ConfigError, NotFound, TrialFailed, UserError
from gatesweep.reproduce.group import TAG, group_of, is_completed, seed_of, tagged
from gatesweep.reproduce.spread import Seeded, Seeds
from gatesweep.runs.build import prepare
from gatesweep.runs.disk import check_disk
from gatesweep.runs.experiment import ExperimentConfig, experiment_from, refuse_the_worst
from gatesweep.runs.initial import resolved
from gatesweep.runs.lookup import config_of, find
from gatesweep.runs.stale import HOLDER, close_run, stale_runs
from gatesweep.runs.training import Listener, configuration, resume
from gatesweep.runs.training import run as train
from gatesweep.track.addresses import KIND, SWEEP_ID
from gatesweep.track.lineage import Lock, collect
from gatesweep.track.store import Store, StoredRun

_SEEDS = 2**32
_NO_COMMIT = "there is no git repository here: whether earlier runs are of this very code is not known"


def seeds(
    name: str, store: Store, *, n: int = 5, overrides: Sequence[str] = (), listener: Listener | None = None
) -> Seeds:
    """Train a run's configuration with further seeds, and score every one.

    Args:
        name: the run; whatever became of it, its configuration is what counts.
        n: how many seeds, the run's own first.
        overrides: `key=value` as `--set` takes them; `seed=…` is the first seed then.

    Raises:
        UserError: before anything was started.
        KeyboardInterrupt: interrupted; the same call goes on.
    """
    if n < 2:
        raise ConfigError(f"{n} of them show no spread", place="--n", hint="2 or more, e.g. --n 5")
    listener = listener or Listener()
    run, config = configuration_for(name, overrides, store)
    config = resolved(config, store)
    check_disk(store.home)
    task, _ = prepare(config, say=listener.say)
    here = collect(config.as_dict(), task.datasets, {"seed": config.seed})
    del task
    work = _Work(store, listener, group_of(config.as_dict()), here)
    found = [work.known(seed, run) for seed in _seeds(config.seed, n)]
    if run.run_id in {each.run_id for each in found if isinstance(each, StoredRun)}:
        store.log_batch(run.run_id, tags={TAG: work.group})
    done = [work.done(seed, each, config) for seed, each in zip(_seeds(config.seed, n), found, strict=True)]
    return Seeds(work.group, tuple(done), tuple(work.notes))


def _seeds(first: int, n: int) -> list[int]:
    return [(first + step) % _SEEDS for step in range(n)]


def configuration_for(name: str, overrides: Sequence[str], store: Store) -> tuple[StoredRun, ExperimentConfig]:
    """The run, and its configuration with `--set` put in.

    Raises:
        NotFound: no such run, a sweep in its place, or a run of another program.
        ConfigError: a key or value that is not to be.
    """
    run = find(name, store)
    if run.tags.get(KIND) == "sweep":
        raise NotFound(f"run '{run.run_id}' is a sweep, not a training", place=name,
                       hint=f"its best trial is best:{run.tags.get(SWEEP_ID, '<sweep_id>')}")  # fmt: skip
    try:
        config = config_of(run, store)
    except NotFound:
        raise NotFound(f"run {run.run_id} has no config.yaml: it is none of gatesweep's trainings", place=name,
                       hint="gatesweep run EXPERIMENT makes a run to begin from") from None  # fmt: skip
    if overrides:
        config = experiment_from(override(config.as_dict(), overrides), place=f"seeds {name}")
    return run, refuse_the_worst(config.with_one_seed(), f"seeds {name}")


class _Work:
    """What is decided once for all seeds, and how one is come by."""

    def __init__(self, store: Store, listener: Listener, group: str, here: Lock) -> None:
        self.store, self.listener, self.group, self.here = store, listener, group, here
        self.notes: list[str] = []
        self._tagged = tagged(group, store)
        self._stale = stale_runs(store.home)

    def known(self, seed: int, origin: StoredRun) -> StoredRun | None:
        """The run that makes training a seed unnecessary, or that can be gone on with; the newest first.

        Raises:
            UserError: somebody is training it now.
        """
        candidates = [each for each in self._tagged if seed_of(each, self.store) == seed]
        if seed_of(origin, self.store) == seed and origin.run_id not in {each.run_id for each in candidates}:
            candidates.insert(0, origin)
        reasons = []
        for run in reversed(candidates):
            self._refuse_live(run, seed)
            why = self._why_anew(run)
            if not why:
                return run
            reasons.append(f"seed {seed} is trained anew: run {run.run_id[:8]} {why}")
        for reason in reasons[:1]:
            self._note(reason)
        return None

    def done(self, seed: int, known: StoredRun | None, config: ExperimentConfig) -> Seeded:
        """The seed's scores: those that are there, those of an interrupted run gone on with, or those of a new one."""
        if known is not None and is_completed(known):
            self.listener.say(f"seed {seed}: run {known.run_id[:8]} is there")
            if self.here.commit is None and _NO_COMMIT not in self.notes:
                self._note(_NO_COMMIT)
            return Seeded(seed, known.run_id, self._scores(known), trained=False)
        begun: list[str] = []

        def started(run_id: str) -> None:
            begun.append(run_id)
            self.listener.started(run_id)

        heard = replace(self.listener, started=started)
        self.listener.say(f"seed {seed}: {'training' if known is None else f'going on with run {known.run_id[:8]}'}")
        try:
            if known is None:
                result = train(config.model_copy(update={"seed": seed}), self.store, heard, tags={TAG: self.group})
            else:
                close_run(self.store, known.run_id)
                self.store.log_batch(known.run_id, tags={TAG: self.group})
                result = resume(known.run_id, configuration(known.run_id, self.store.home), self.store, heard)
        except TrialFailed as error:  # of one seed; the others say whether of the configuration
            self._note(f"seed {seed} failed: {error.message}")
            return Seeded(seed, begun[-1], {}, trained=True, failed=error.message)
        return Seeded(seed, result.run_id, result.metrics, trained=True)

    def _note(self, line: str) -> None:
        self.notes.append(line)
        self.listener.say(line)

    def _refuse_live(self, run: StoredRun, seed: int) -> None:
        holder = self.store.home / "runs" / run.run_id / HOLDER
        if run.status == "RUNNING" and holder.is_file() and run.run_id not in self._stale:
            raise UserError(f"seed {seed} is being trained now, by another process", place=f"run {run.run_id}",
                            hint="wait for it, or stop it, and call again")  # fmt: skip

    def _why_anew(self, run: StoredRun) -> str:
        """Why a run cannot stand for its seed; empty where it can, or can be gone on with."""
        lock, patch = self._text(run, "lock.json"), self._text(run, "diff.patch")
        if lock is None:
            return "has no lock.json: its data and code are not known"
        told = json.loads(lock)
        if group_of(told["config"]) != self.group:
            return "has another configuration"
        ours = [(pin["name"], pin["md5"]) for pin in self.here.data]
        if [(pin["name"], pin["md5"]) for pin in told["data"]] != ours:
            return "was trained on other data"
        if told["code"]["commit"] != self.here.commit:
            commits = (told["code"]["commit"], self.here.commit)
            return "is of commit {}, and here is {}".format(*((commit or "none")[:12] for commit in commits))
        if told["code"]["patch_cut"] or self.here.tree.patch_cut or patch != self.here.diff:
            return "is of a tree with other uncommitted changes"
        if is_completed(run):
            return "" if self._is_tested(run) else "has no scores on the test split"
        folder = self.store.home / "runs" / run.run_id / "config.json"
        state = run.tags.get("gatesweep.outcome") or run.status.lower()
        return "" if run.status in ("KILLED", "RUNNING") and folder.is_file() else f"is {state}, not completed"

    def _text(self, run: StoredRun, name: str) -> str | None:
        try:
            return self.store.artifact(run.run_id, name).read_text(encoding="utf-8")
        except NotFound:
            return None

    def _is_tested(self, run: StoredRun) -> bool:
        """A trial of a sweep is not, unless it was the best one; a single run is, where its data have a test split."""
        return run.tags.get(KIND) != "trial" or any(name.startswith("test/") for name in run.metrics)

    def _scores(self, run: StoredRun) -> dict[str, float]:
        """As `gatesweep run` told them: of val the best epoch's."""
        from gatesweep.reproduce.scores import score
        from gatesweep.reproduce.sides import Member

        member = Member(run, json.loads(self._text(run, "lock.json") or "{}"), locked=True)
        return {name: score(member, name, self.store) for name in run.metrics
                if name.partition("/")[0] in ("test", "val")}  # fmt: skip
