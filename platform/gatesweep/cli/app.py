"""Every command by name. Each imports what it needs when it is called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from gatesweep.cli import cells, data
from gatesweep.cli.answer import JsonOption, ResumeSetOption, SetOption, SweepSetOption, answering, print_json, say
from gatesweep.cli.doctor import doctor
from gatesweep.cli.ui import ui

app = typer.Typer(
    name="gatesweep",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Train recurrent sequence models, search their hyperparameters, and get any result again.",
)

Experiment = Annotated[
    Path,
    typer.Argument(
        metavar="EXPERIMENT", help="An experiment file, e.g. configs/experiments/traffic.yaml", show_default=False
    ),
]
SweepFile = Annotated[
    Path, typer.Argument(metavar="SWEEP", help="A sweep file, e.g. configs/sweeps/traffic.yaml", show_default=False)
]
RunName = Annotated[
    str, typer.Argument(metavar="RUN", help="A run id, a trial id (traffic-20261123-ab12cd/t0007), or best:<sweep id>")
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
OneTrial = Annotated[str | None, typer.Option("--trial", help="One trial alone, e.g. t0007.")]


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)] = False,
) -> None:
    if version:
        import gatesweep

        print(gatesweep.__version__)
        raise typer.Exit


@app.command()
def run(
    experiment: Experiment,
    set_: SetOption = None,
    cluster: Annotated[
        Path | None,
        typer.Option(metavar="CLUSTER", help="Train there instead of here, e.g. configs/clusters/ray.yaml"),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Train one model, score it, record it in MLflow.

    With --cluster it is submitted as a sweep of one trial, and followed by that sweep's id.
    """
    with answering():
        if cluster is not None:
            from gatesweep.cli.launching import submit_run

            submit_run(experiment, set_ or [], cluster, as_json=json)
            return
        from gatesweep.cli.training import train

        train(experiment, set_ or [], as_json=json)


@app.command()
def sweep(
    spec: SweepFile,
    set_: SweepSetOption = None,
    json: JsonOption = False,
    id_: NewId = None,
) -> None:
    """Search for the best configuration, here."""
    from gatesweep.cli.sweeping import search

    search(spec, set_ or [], sweep_id=id_, as_json=json)


@app.command()
def submit(
    spec: SweepFile, cluster: Cluster, set_: SweepSetOption = None, id_: NewId = None, json: JsonOption = False
) -> None:
    """Hand a sweep to a cluster, and return at once.

    The project travels along: what git tracks, and untracked files that it does not ignore; no data, no secrets. The
    sweep goes on without this machine.
    """
    from gatesweep.cli.launching import submit_sweep

    with answering():
        submit_sweep(spec, set_ or [], cluster, id_, as_json=json)


@app.command()
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


@app.command()
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


@app.command()
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


@app.command()
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


@app.command()
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


@app.command()
def evaluate(
    run: RunName,
    split: Annotated[str, typer.Option(help="train, val, test or all.")] = "test",
    data: Annotated[Path | None, typer.Option(help="Another file of the same layout, e.g. new-hours.csv")] = None,
    predictions: Annotated[
        Path | None,
        typer.Option(help="Write every forecast beside its truth, e.g. forecasts.csv. Its folder must be there."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Score a run on any split, or on another file."""
    from gatesweep.cli.training import score

    with answering():
        score(run, split, data, predictions, as_json=json)


@app.command()
def sample(
    run: RunName,
    prompt: Annotated[str, typer.Option(help='What the text begins with, e.g. "the film is"')] = "",
    tokens: Annotated[int, typer.Option(help="How many words, or characters, to write.")] = 50,
    temperature: Annotated[float, typer.Option(help="Below 1 likelier words come more often; 0: the likeliest.")] = 1.0,
    top_p: Annotated[float, typer.Option(help="Draw from the likeliest words of this share, e.g. 0.9")] = 1.0,
    seed: Annotated[int, typer.Option(help="The same seed writes the same text.")] = 0,
    json: JsonOption = False,
) -> None:
    """Let a run's language model write."""
    from gatesweep.cli.training import sample as write

    with answering():
        write(run, prompt, tokens, temperature, top_p, seed, as_json=json)


@app.command()
def report(sweep_id: SweepId, json: JsonOption = False) -> None:
    """Write a sweep's offline page again, from its log.

    Also while the sweep is running, or after it was interrupted.
    """
    from gatesweep.cli.sweeping import rewrite_report

    with answering():
        page = rewrite_report(sweep_id)
        if json:
            print_json({"sweep_id": sweep_id, "report": page})
        else:
            print(page)


@app.command("list")
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


@app.command()
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


@app.command()
def validate(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE", help="Experiments, sweeps or clusters, e.g. configs/sweeps/traffic.yaml"),
    ],
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Check files, start nothing."""
    from gatesweep.config.yaml_file import read_mapping
    from gatesweep.launch.config import load_cluster
    from gatesweep.runs.experiment import load_experiment
    from gatesweep.sweep.spec import load_spec

    loaders = {"sweep": load_spec, "cluster": load_cluster, "experiment": load_experiment}
    found = []
    with answering():
        for file in files:
            keys = read_mapping(file)
            kind = "sweep" if "experiment" in keys else "cluster" if "kind" in keys else "experiment"
            loaders[kind](file, set_ or [])
            found.append({"file": file, "kind": kind})
            if not json:
                say(f"{file}: a valid {kind}")
    if json:
        print_json({"valid": found})


@app.command()
def schema(
    kind: Annotated[
        Literal["experiment", "sweep", "cluster"], typer.Argument(help="Which kind of file.")
    ] = "experiment",
) -> None:
    """Print every field of a file: the JSON Schema, one JSON object."""
    import json

    from gatesweep.launch.config import schema_of_clusters
    from gatesweep.sweep.schema import schema_of

    with answering():
        print(json.dumps(schema_of_clusters() if kind == "cluster" else schema_of(kind), indent=1))


app.command()(ui)
app.command()(doctor)
app.add_typer(cells.app, name="cells", help="The cells: list, show, build, gradient-flow.")
app.add_typer(data.app, name="data", help="The data sets: list, pull, verify, quality.")
