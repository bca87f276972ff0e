"""Sweeps: driver -> trials -> best trial -> test split -> report -> parent run."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatesweep.api.places import here, open_store
from gatesweep.errors import EXIT_INTERRUPTED, EXIT_OK, EXIT_VERDICT
from gatesweep.track.records import BY_USER

if TYPE_CHECKING:
    import pandas as pd

    from gatesweep.sweep.session import Hooks, Opening, Session
    from gatesweep.sweep.spec import SweepSpec
    from gatesweep.sweep.where import Where

Watch = Callable[["Session"], contextlib.AbstractContextManager[Any]]
"""What surrounds the trials while they run: a live table."""


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
    """Why it ended before every trial was over."""
    pareto: list[dict[str, Any]] = field(default_factory=list)
    """With several objectives: the trials of the Pareto front, the best by the first objective first."""
    budget: str | None = None
    """The budget that was spent first, where one ended it: `wall_time`, `target`, …"""

    @property
    def exit_code(self) -> int:
        """0 done, or a budget spent; 130 stopped by the user; 3 paused by the breaker, or with nothing to show."""
        if self.stopped == BY_USER:
            return EXIT_INTERRUPTED
        if self.budget:
            return EXIT_OK if self.best else EXIT_VERDICT
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
            "pareto": self.pareto,
            "report": self.report,
            "wall_s": self.wall_s,
            "stopped": self.stopped,
            "budget": self.budget,
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

    spec, hooks, where = spec_of(spec, overrides), hooks or Hooks(), _entered(where)
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


def spec_of(spec: Any, overrides: Sequence[str]) -> SweepSpec:
    """A sweep's file, its sections as a mapping, or a `SweepSpec`, with `--set` put in."""
    from gatesweep.config.loader import override
    from gatesweep.sweep.spec import SweepSpec, load_spec, spec_from, startable

    if isinstance(spec, SweepSpec):
        return spec_from(override(spec.as_dict(), overrides), place="sweep") if overrides else spec
    if isinstance(spec, Mapping):
        return startable(spec_from(override(dict(spec), overrides), place="sweep"), "sweep")
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
