"""The commands around sweeps: `sweep`, `resume`, `list`, `report`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from gatesweep.cli.answer import answering, libraries_on_stderr, print_json, say

if TYPE_CHECKING:
    from gatesweep.api import Sweep
    from gatesweep.sweep.session import Session


def search(spec: Path, overrides: list[str], *, sweep_id: str | None, as_json: bool) -> None:
    """A new sweep, from its file to its summary."""
    with answering():
        from gatesweep.sweep.spec import load_spec

        loaded = load_spec(spec, overrides)

        def conduct(hooks: Any, watch: Any) -> Sweep:
            from gatesweep import api

            return api.sweep(loaded, sweep_id=sweep_id, hooks=hooks, watch=watch)

    _conduct(conduct, as_json)


def go_on(name: str, overrides: list[str], *, as_json: bool, retry_failed: bool = False) -> None:
    """A sweep or a run, whichever the id names."""
    with answering():
        from gatesweep import api
        from gatesweep.cli.training import resume_run

        is_sweep = (api.here() / "sweeps" / name).is_dir() or "-" in name
        if not is_sweep and not retry_failed:
            resume_run(name, overrides, as_json=as_json)
            return

    def conduct(hooks: Any, watch: Any) -> Sweep:
        return api.resume(name, overrides=overrides, retry_failed=retry_failed, hooks=hooks, watch=watch)

    _conduct(conduct, as_json)


def _conduct(conduct: Callable[[Any, Any], Sweep], as_json: bool) -> None:
    opened: list[str] = []
    with answering():
        from rich.console import Console

        from gatesweep.sweep.live import Board
        from gatesweep.sweep.session import Hooks

        console = Console(stderr=True)

        def announce(session: Session) -> None:
            opened.append(session.sweep_id)
            say(f"sweep {session.sweep_id}: {session.spec.question or session.spec.goal.metric}")

        hooks = Hooks(say=say, opened=announce)
        try:
            with libraries_on_stderr():
                ended = conduct(hooks, lambda session: Board(session.ledger, console))
        except KeyboardInterrupt:
            with answering(resume=opened[0] if opened else None):
                raise
        if as_json:
            print_json(ended.as_dict())
        else:
            _summary(ended)
        if ended.budget:
            more = f"gatesweep resume {ended.sweep_id} --set budget.{ended.budget}=…"
            say(f"ended by {ended.stopped}; go on with more: {more}")
        elif ended.stopped:
            say(f"stopped by {ended.stopped}; go on with: gatesweep resume {ended.sweep_id}")
        if ended.exit_code:
            raise typer.Exit(ended.exit_code)


def _summary(ended: Sweep) -> None:
    """Top five, test against baseline, where the runs are, the direct address of their chart, the report."""
    from rich.console import Console

    from gatesweep.report.terminal import front_table, summary, top_table
    from gatesweep.track.addresses import trials_address, ui_base

    console = Console()
    console.print(front_table(ended.view) if ended.view.front else top_table(ended.view, n=5))
    console.print(summary(ended.view))
    print("runs      gatesweep ui")
    print(f"trials    {trials_address(ended.experiment_id, ended.sweep_id)}")
    print(f"compare   {ui_base()}/{ended.compare}")
    print(f"report    {ended.report}")


def rewrite_report(sweep_id: str) -> Path:
    """The page of a sweep as its log stands."""
    import json

    from gatesweep import api
    from gatesweep.sweep.page import write_page
    from gatesweep.sweep.reopen import peek
    from gatesweep.sweep.session import working_copy

    ledger, at = peek(sweep_id, api.here())
    lock = json.loads(at.read("lock.json"))
    return write_page(ledger, sweep_id, lock, working_copy(at, sweep_id, api.here()))[0]


def overview(*, with_runs: bool, as_json: bool) -> None:
    """Every sweep's id, trials, state and best value, from their logs; single runs from the tracking store."""
    from gatesweep import api
    from gatesweep.sweep.overview import sweeps

    found: list[dict[str, Any]] = [{**row, "cluster": ""} for row in sweeps(api.here())]
    found = _with_clusters(found, api.here())
    runs = _single_runs() if with_runs else []
    if as_json:
        print_json({"sweeps": found} | ({"runs": runs} if with_runs else {}))
        return
    rows = [[row["sweep_id"], row["state"], f"{row['over']}/{row['trials']}", row["metric"],
             "" if row["best"] is None else f"{row['best']:.5g}", row["cluster"]] for row in found]
    _print_table(["sweep", "state", "trials", "metric", "best", "cluster"], rows,
                 "no sweeps yet: gatesweep sweep configs/sweeps/traffic.yaml")
    for row in found:
        if row.get("reason"):
            say(f"{row['sweep_id']}: {row['reason']}; gatesweep status {row['sweep_id']} says what to do")
    if with_runs:
        print()
        _print_table(["run", "name", "state", "metric", "last"], [list(run.values()) for run in runs],
                     "no runs yet: gatesweep run configs/experiments/traffic.yaml")


def _with_clusters(found: list[dict[str, Any]], home: Path) -> list[dict[str, Any]]:
    """The sweeps of this home, and those that were submitted from here and lie elsewhere."""
    from gatesweep.cli.following import cluster_rows
    from gatesweep.errors import UserError
    from gatesweep.launch.submitted import recall

    for row in found:
        try:
            sent = recall(row["sweep_id"], home)
            row["cluster"] = sent.cluster.name if sent else ""
        except UserError as error:
            row["reason"] = f"{error.place}: {error.message}"
    return [*found, *cluster_rows(home, {row["sweep_id"] for row in found})]


def _single_runs() -> list[dict[str, str]]:
    """A row a run of `gatesweep run`, the newest last, with the last value of the metric that it watches."""
    from gatesweep import api
    from gatesweep.track.addresses import KIND

    found = []
    for run in api.open_store().search({KIND: "run"}):
        metric = run.params.get("trainer.monitor", "")
        last = f"{run.metrics[metric]:.5g}" if metric in run.metrics else ""
        found.append({"run_id": run.run_id, "name": run.name, "state": run.status.lower(), "metric": metric,
                      "last": last})  # fmt: skip
    return found


def _print_table(head: list[str], rows: list[list[str]], empty: str) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in head:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*row)
    Console().print(table if rows else empty)
