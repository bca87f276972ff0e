"""What composes the rooms: the Python interface, and the same functions behind `jobs/` and the command line.

sweep: driver -> best trial -> test split -> report -> parent run          run, evaluate, load: one run each
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatesweep.config.places import find_root, home
from gatesweep.errors import EXIT_INTERRUPTED, EXIT_OK, EXIT_VERDICT
from gatesweep.track.records import BY_USER

if TYPE_CHECKING:
    import pandas as pd

    from gatesweep.reproduce.trace_data import DataTrace
    from gatesweep.reproduce.trace_run import RunTrace
    from gatesweep.runs.backtest import Backtest
    from gatesweep.runs.evaluation import Evaluation
    from gatesweep.runs.experiment import ExperimentConfig
    from gatesweep.runs.sampling import Sample
    from gatesweep.runs.training import Listener, RunResult
    from gatesweep.sweep.session import Hooks, Opening, Session
    from gatesweep.sweep.spec import SweepSpec
    from gatesweep.sweep.where import Where
    from gatesweep.tasks.base import TaskModule
    from gatesweep.track.store import Store


Watch = Callable[["Session"], contextlib.AbstractContextManager[Any]]
"""What surrounds the trials while they run: a live table."""


def here() -> Path:
    """The home folder, where everything that runs write lies."""
    return home(find_root())


def open_store(*, must_answer: bool = True, where: Where | None = None) -> Store:
    """The tracking store of the home folder, or the server that `where` or MLFLOW_TRACKING_URI names."""
    from gatesweep.track import store

    return store.open_store(here(), where.tracking if where else None, must_answer=must_answer)


def run(
    config: Any,
    *,
    overrides: Sequence[str] = (),
    listener: Listener | None = None,
    out: str | Path | None = None,
) -> RunResult:
    """Train one model.

    Args:
        config: an experiment's file, or its sections as a mapping.
        overrides: `key=value` as `--set` takes them.
        out: a folder that gets `metrics.json`, `curves.csv` and `run.json` besides (see `gatesweep.runs.results`).

    Raises:
        UserError: before anything was started.
    """
    from gatesweep.runs.training import Listener
    from gatesweep.runs.training import run as train

    experiment = _experiment(config, overrides)
    if out is None:
        return train(experiment, open_store(), listener)
    from gatesweep.runs.results import Results

    store, results = open_store(), Results(Path(out))
    result = train(experiment, store, results.heard_by(listener or Listener()))
    results.write(result)
    return result


def _experiment(config: Any, overrides: Sequence[str]) -> ExperimentConfig:
    from gatesweep.config.loader import override
    from gatesweep.runs.experiment import ExperimentConfig, experiment_from, load_experiment, refuse_the_worst

    if isinstance(config, ExperimentConfig):
        return experiment_from(override(config.as_dict(), overrides), place="run") if overrides else config
    if isinstance(config, Mapping):
        return refuse_the_worst(experiment_from(override(dict(config), overrides), place="run"), "run")
    return load_experiment(Path(config), overrides)


def interrupted(run_id: str) -> ExperimentConfig:
    """The configuration of a run that can be gone on with.

    Raises:
        NotFound: nothing of it is left here.
    """
    from gatesweep.runs.training import configuration

    return configuration(run_id, here())


def resume_run(run_id: str, *, listener: Listener | None = None) -> RunResult:
    """Go on with an interrupted run; its numbers equal those of one that was never interrupted."""
    from gatesweep.runs.training import resume as go_on

    return go_on(run_id, interrupted(run_id), open_store(), listener)


def evaluate(
    name: str,
    *,
    split: str = "test",
    data: str | Path | None = None,
    predictions: str | Path | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Evaluation:
    """Score a run's checkpoint on a split, or on a file that it never saw."""
    from gatesweep.runs.evaluation import evaluate as score

    return score(
        name,
        open_store(),
        split=split,
        data=Path(data) if data else None,
        predictions=Path(predictions) if predictions else None,
        say=say,
    )


def sample(
    name: str,
    *,
    prompt: str = "",
    tokens: int = 50,
    temperature: float = 1.0,
    top_p: float = 1.0,
    seed: int = 0,
    out: Path | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Sample:
    """What a run's model writes after `prompt`, text or music: see `gatesweep.runs.sampling.sample`."""
    from gatesweep.runs.sampling import check
    from gatesweep.runs.sampling import sample as write

    check(tokens, temperature, top_p, seed, out)
    return write(
        name, open_store(), prompt=prompt, tokens=tokens, temperature=temperature, top_p=top_p, seed=seed, out=out,
        say=say,
    )  # fmt: skip


def forecast(
    df: pd.DataFrame,
    *,
    horizon: int | None = None,
    target: str | Sequence[str] = (),
    covariates: Sequence[str] = (),
    known: Sequence[str] = (),
    future: pd.DataFrame | None = None,
    config: Mapping[str, Any] | None = None,
    run: str | None = None,
    listener: Listener | None = None,
) -> pd.DataFrame:
    """The steps after the last row of `df`: a model is trained on it, or a trained one reads it.

        gatesweep.forecast(df, horizon=24, config={"model": {"output": "quantiles"}})

    Args:
        df: one row a step, under an index (or one column) of stamps; columns are numbers.
        horizon: how many steps.
        target: the column or columns to forecast; by default all that are not named below.
        covariates: columns whose past the model reads; `known`: columns that are known ahead.
        future: the known columns' values over the horizon, under its stamps.
        config: sections of an experiment (`data`, `model`, `optimizer`, `trainer`, `seed`, …) that differ from the
            defaults.
        run: a run that was trained on such a frame; nothing is trained then, and its settings hold.

    Returns:
        Columns origin, step, time, (series,) forecast, and a column for each level where the output has some; `attrs`
        holds `run_id`, and of a training `metrics` and `baseline`, which say whether to believe it.

    Raises:
        UserError: before anything was started.
    """
    from gatesweep.runs.forecasting import forecast as go_on

    targets = (target,) if isinstance(target, str) else tuple(target)
    return go_on(
        df, open_store(), horizon=horizon, targets=targets, covariates=covariates, known=known, future=future,
        config=config, run_name=run, listener=listener,
    )  # fmt: skip


def backtest(
    config: Any,
    *,
    folds: int = 4,
    test: float = 0.1,
    val: float = 0.1,
    overrides: Sequence[str] = (),
    listener: Listener | None = None,
) -> Backtest:
    """Rolling-origin evaluation of an experiment: see `gatesweep.runs.backtest.backtest`."""
    from gatesweep.runs.backtest import backtest as roll

    return roll(_experiment(config, overrides), open_store(), folds=folds, test=test, val=val, listener=listener)


def trace(what: str | Path) -> RunTrace | DataTrace:
    """A run, a model or a checkpoint back to its code and data; a file of data forward to its runs.

        gatesweep.trace("copied/state.ckpt").code.commit
        [user.run_id for user in gatesweep.trace("data/traffic/traffic.csv").runs]

    Args:
        what: a run id, a trial id, `best:<sweep_id>`, `models:/name/3`, or a path.

    Raises:
        NotFound: nothing here knows it; the message says what was looked at.
    """
    from gatesweep.reproduce.trace import trace as follow

    return follow(str(what), open_store())


def load(name: str) -> TaskModule:
    """The trained Lightning module of a run id, a trial id or `best:<sweep_id>`."""
    from gatesweep.runs.evaluation import load as restore

    return restore(name, open_store())


@dataclass(frozen=True)
class Sweep:
    """A sweep that is over, or was stopped. `as_dict` is what `gatesweep sweep --json` prints."""

    sweep_id: str
    parent_run_id: str
    experiment_id: str
    outcomes: dict[str, int]
    best: dict[str, Any] | None
    report: str
    wall_s: float
    view: Any = field(repr=False)
    compare: str = ""
    """MLflow's page that compares the best hundred trials, to go behind the address that serves the store."""
    stopped: str | None = None

    @property
    def exit_code(self) -> int:
        """0 done; 130 stopped by the user; 3 paused by the breaker, or without one completed trial."""
        if self.stopped == BY_USER:
            return EXIT_INTERRUPTED
        return EXIT_OK if self.outcomes["completed"] and not self.stopped else EXIT_VERDICT

    def trials(self) -> pd.DataFrame:
        """One row a trial: outcome, parameters, metrics at the best epoch."""
        from gatesweep.report.table import trials_frame

        return trials_frame(self.view)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "sweep_id": self.sweep_id,
            "parent_run_id": self.parent_run_id,
            "experiment_id": self.experiment_id,
            "trials": len(self.view.trials),
            "outcomes": self.outcomes,
            "best": self.best,
            "report": self.report,
            "wall_s": self.wall_s,
            "stopped": self.stopped,
        }


def sweep(
    spec: Any,
    *,
    sweep_id: str | None = None,
    overrides: Sequence[str] = (),
    hooks: Hooks | None = None,
    watch: Watch | None = None,
    where: Where | None = None,
) -> Sweep:
    """Search until the budget is spent; then score the best trial once on the test split and write the report.

    Args:
        spec: a sweep's file, its sections as a mapping, or a `SweepSpec`.
        sweep_id: by default `<name>-<yyyymmdd>-<6 hex>`; one that is in use is refused.
        watch: a context manager around the trials, for a live table.
        where: a cluster to run on and storage to keep it in; by default this machine and its home folder.

    Raises:
        UserError: before anything was started.
        KeyboardInterrupt: interrupted; `resume` goes on.
    """
    from gatesweep.sweep import start
    from gatesweep.sweep.session import Hooks

    spec, hooks, where = _spec(spec, overrides), hooks or Hooks(), _entered(where)
    chosen = sweep_id or start.new_id(spec.name)
    start.check(spec, chosen, here(), where)
    return _conduct(
        spec, lambda: start.start(spec, chosen, lambda: open_store(where=where), hooks, here(), where), watch, where
    )


def resume(
    sweep_id: str,
    *,
    overrides: Sequence[str] = (),
    retry_failed: bool = False,
    hooks: Hooks | None = None,
    watch: Watch | None = None,
    where: Where | None = None,
) -> Sweep:
    """Go on with a sweep from its log, or extend it: `overrides=["budget.trials=40"]`.

    Args:
        retry_failed: trials that failed are tried again.
        where: as for `sweep`; the sweep must lie in that storage.
    """
    from gatesweep.sweep.reopen import glance, reopen
    from gatesweep.sweep.session import Hooks

    hooks, where = hooks or Hooks(), _entered(where)
    spec, over = glance(sweep_id, overrides, here(), where, retry_failed)
    return _conduct(
        None if over else spec,
        lambda: reopen(
            sweep_id, overrides, lambda: open_store(must_answer=False, where=where), hooks, here(), where, retry_failed
        ),
        watch,
        where,
    )


def _entered(where: Where | None) -> Where:
    """This process gets what a cluster's file says: variables, secrets, and data by way of this node's cache."""
    from gatesweep.sweep.where import Where

    where = where or Where()
    os.environ.update(where.environment)
    if where.secrets:
        from gatesweep.config.secrets import resolve

        resolve(where.secrets)
    if where.shared and where.data_remote:
        from gatesweep.sweep.node_data import install, node_folder

        install(where.data_remote, None, Path(where.node_folder) if where.node_folder else node_folder())
    return where


def _spec(spec: Any, overrides: Sequence[str]) -> SweepSpec:
    from gatesweep.config.loader import override
    from gatesweep.sweep.spec import SweepSpec, load_spec, refuse_the_worst, spec_from

    if isinstance(spec, SweepSpec):
        return spec_from(override(spec.as_dict(), overrides), place="sweep") if overrides else spec
    if isinstance(spec, Mapping):
        return refuse_the_worst(spec_from(override(dict(spec), overrides), place="sweep"), "sweep")
    return load_spec(Path(spec), overrides)


def _conduct(
    spec: SweepSpec | None, checks: Callable[[], Opening], watch: Watch | None, where: Where
) -> Sweep:
    """Check, open, execute, finish. Ray starts beside the checks and is gone before the report is made.

    A sweep with nothing left to do (no spec) needs no Ray.
    """
    from gatesweep.sweep import cluster
    from gatesweep.sweep.reconcile import settle_beside
    from gatesweep.sweep.session import beside

    if spec is None:
        return _finished(checks()())
    opened = beside(checks)
    cpus, at_once = spec.resources.cpus, spec.budget.concurrent
    with (
        cluster.joined(where.ray_address, cpus, at_once)
        if where.ray_address
        else cluster.local(at_once * cpus, at_once, warm=True)
    ):
        session = opened()()
        settle_beside(here(), lambda: open_store(must_answer=False, where=where), where, session.sweep_id)
        try:
            with watch(session) if watch else contextlib.nullcontext():
                session.execute()
        except BaseException:
            session.close()
            raise
    return _finished(session)


def _finished(session: Session) -> Sweep:
    from gatesweep.sweep.finish import finish

    return Sweep(**finish(session))
