"""The commands for sweeps that may run elsewhere. Each imports what it needs when it is called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gatesweep.cli.answer import JsonOption, ResumeSetOption, SweepSetOption, answering

SweepFile = Annotated[
    Path, typer.Argument(metavar="SWEEP", help="A sweep file, e.g. configs/sweeps/traffic.yaml", show_default=False)
]
SweepId = Annotated[str, typer.Argument(metavar="SWEEP_ID", help="A sweep id, e.g. traffic-20261123-ab12cd")]
Cluster = Annotated[
    Path,
    typer.Option(
        "--cluster", metavar="CLUSTER", help="A cluster's file, e.g. configs/clusters/ray.yaml", show_default=False
    ),
]
OtherCluster = Annotated[
    Path | None,
    typer.Option(
        "--cluster",
        metavar="CLUSTER",
        help="The cluster's file, e.g. configs/clusters/ray.yaml: for a sweep that was submitted from another machine,"
        " or whose cluster has a new address. By default the one that is remembered.",
    ),
]
NewId = Annotated[
    str | None,
    typer.Option("--id", help="The sweep's id, e.g. traffic-night-2; by default <name>-<yyyymmdd>-<6 hex>."),
]
DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="Print the RayJob that a cluster of kind kuberay would get; nothing is sent."),
]
OneTrial = Annotated[str | None, typer.Option("--trial", help="One trial alone, e.g. t0007.")]


def submit(
    spec: SweepFile, cluster: Cluster, set_: SweepSetOption = None, id_: NewId = None, dry_run: DryRun = False,
    json: JsonOption = False,
) -> None:
    """Hand a sweep to a cluster, and return at once.

    The project travels along: what git tracks, and untracked files that it does not ignore; no data, no secrets. The
    sweep goes on without this machine.
    """
    from gatesweep.cli.launching import submit_sweep

    with answering():
        submit_sweep(spec, set_ or [], cluster, id_, dry_run=dry_run, as_json=json)


def status(
    sweep_id: SweepId,
    watch: Annotated[
        bool, typer.Option("--watch", help="Draw it again every two seconds until it ends; not with --json.")
    ] = False,
    cluster: OtherCluster = None,
    json: JsonOption = False,
) -> None:
    """Show how a sweep is: its trials, the best, what failed.

    Read from the sweep's log where it lies; where this machine does not see that, from the tracking server.
    """
    from gatesweep.cli.following import show_status

    with answering():
        show_status(sweep_id, cluster, watch=watch, as_json=json)


def logs(
    sweep_id: SweepId,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on until it ends.")] = False,
    trial: OneTrial = None,
    cluster: OtherCluster = None,
    json: JsonOption = False,
) -> None:
    """Print what a sweep's driver says, or a trial."""
    from gatesweep.cli.launching import show_logs

    with answering():
        show_logs(sweep_id, trial, cluster, follow=follow, as_json=json)


def stop(
    sweep_id: SweepId,
    drain: Annotated[bool, typer.Option("--drain", help="Train what runs to its end, start nothing new.")] = False,
    now: Annotated[bool, typer.Option("--now", help="At once; epochs in the making are lost.")] = False,
    trial: OneTrial = None,
    cluster: OtherCluster = None,
    json: JsonOption = False,
) -> None:
    """Stop a sweep, or one of its trials, after the epoch that runs.

    A sweep that was stopped can be resumed: gatesweep resume traffic-20261123-ab12cd
    """
    from gatesweep.cli.launching import end

    with answering():
        end(sweep_id, trial, cluster, drain=drain, now=now, as_json=json)


def resume(
    id_: Annotated[str, typer.Argument(metavar="ID", help="A sweep id, e.g. traffic-20261123-ab12cd, or a run id.")],
    set_: ResumeSetOption = None,
    cluster: OtherCluster = None,
    json: JsonOption = False,
) -> None:
    """Go on with a sweep or a run, or extend a sweep.

    After an interruption or a crash, `resume ID` does what is left, where the sweep was submitted to or here. A sweep
    that is over gets more trials by `resume ID --set budget.trials=40`.
    """
    _again(id_, set_ or [], cluster, retry_failed=False, as_json=json)


def retry(
    sweep_id: SweepId,
    failed: Annotated[bool, typer.Option("--failed", help="Every trial that failed.")] = False,
    cluster: OtherCluster = None,
    json: JsonOption = False,
) -> None:
    """Try a sweep's failed trials again: gatesweep retry ID --failed.

    They go on from their last checkpoint, where the sweep was submitted to or here.
    """
    from gatesweep.errors import ConfigError

    with answering():
        if not failed:
            raise ConfigError("say which trials", place="retry", hint=f"gatesweep retry {sweep_id} --failed")
    _again(sweep_id, [], cluster, retry_failed=True, as_json=json)


def _again(name: str, set_: list[str], cluster: Path | None, *, retry_failed: bool, as_json: bool) -> None:
    """Where it was submitted to, or here."""
    from gatesweep.cli.launching import send_again, sent_elsewhere
    from gatesweep.cli.sweeping import go_on

    with answering():
        followed = sent_elsewhere(name, cluster)
        if followed is not None:
            send_again(followed, set_, retry_failed=retry_failed, as_json=as_json)
            return
    go_on(name, set_, retry_failed=retry_failed, as_json=as_json)


def list_(
    runs: Annotated[
        bool, typer.Option("--runs", help="The runs of gatesweep run too, from the tracking store: a second or two.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """List the sweeps: state, trials, best value, cluster."""
    from gatesweep.cli.sweeping import overview

    with answering():
        overview(with_runs=runs, as_json=json)


def clean(
    ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="SWEEP_ID", help="Sweeps, e.g. traffic-20261123-ab12cd; by default every finished one."),
    ] = None,
    older_than: Annotated[
        str | None, typer.Option(metavar="AGE", help="Only sweeps that ended so long ago, e.g. 30d or 12h.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, delete nothing.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="The log and the report too; MLflow's runs stay.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Sweeps that are not finished too.")] = False,
    json: JsonOption = False,
) -> None:
    """Delete what finished sweeps left: checkpoints, temporary files.

    Without ids also the temporary folders of killed processes. The report stays, unless --all. A sweep that may still
    be resumed is left alone, unless --force.
    """
    from gatesweep.cli.launching import tidy

    with answering():
        tidy(ids or [], older_than, dry_run=dry_run, everything=everything, force=force, as_json=json)
