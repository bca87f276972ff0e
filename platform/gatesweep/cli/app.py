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


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)] = False,
) -> None:
    if version:
        import gatesweep

        print(gatesweep.__version__)
        raise typer.Exit


@app.command()
def run(experiment: Experiment, set_: SetOption = None, json: JsonOption = False) -> None:
    """Train one model, score it, record it in MLflow."""
    from gatesweep.cli.training import train

    with answering():
        train(experiment, set_ or [], as_json=json)


@app.command()
def sweep(
    spec: SweepFile,
    set_: SweepSetOption = None,
    json: JsonOption = False,
    id_: Annotated[
        str | None, typer.Option("--id", help="The sweep's id; by default <name>-<yyyymmdd>-<6 hex>.")
    ] = None,
) -> None:
    """Search for the best configuration, here."""
    from gatesweep.cli.sweeping import search

    search(spec, set_ or [], sweep_id=id_, as_json=json)


@app.command()
def resume(
    id_: Annotated[str, typer.Argument(metavar="ID", help="A sweep id, e.g. traffic-20261123-ab12cd, or a run id.")],
    set_: ResumeSetOption = None,
    json: JsonOption = False,
) -> None:
    """Go on with a sweep or a run, or extend a sweep.

    After an interruption or a crash, `resume ID` does what is left. A sweep that is over gets more trials by
    `resume ID --set budget.trials=40`.
    """
    from gatesweep.cli.sweeping import go_on

    go_on(id_, set_ or [], as_json=json)


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
    """List the sweeps: state, trials, best value."""
    from gatesweep.cli.sweeping import overview

    with answering():
        overview(with_runs=runs, as_json=json)


@app.command()
def validate(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE", help="Experiments or sweeps, e.g. configs/sweeps/traffic.yaml")
    ],
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Check files, start nothing."""
    from gatesweep.config.yaml_file import read_mapping
    from gatesweep.runs.experiment import load_experiment
    from gatesweep.sweep.spec import load_spec

    found = []
    with answering():
        for file in files:
            kind = "sweep" if "experiment" in read_mapping(file) else "experiment"
            (load_spec if kind == "sweep" else load_experiment)(file, set_ or [])
            found.append({"file": file, "kind": kind})
            if not json:
                say(f"{file}: a valid {kind}")
    if json:
        print_json({"valid": found})


@app.command()
def schema(
    kind: Annotated[Literal["experiment", "sweep"], typer.Argument(help="Which kind of file.")] = "experiment",
) -> None:
    """Print every field of a file: the JSON Schema, one JSON object."""
    import json

    from gatesweep.sweep.schema import schema_of

    with answering():
        print(json.dumps(schema_of(kind), indent=1))


app.command()(ui)
app.command()(doctor)
app.add_typer(cells.app, name="cells", help="The cells: list, show, build, gradient-flow.")
app.add_typer(data.app, name="data", help="The data sets: list, pull, verify, quality.")
