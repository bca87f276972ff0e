"""Every command by name. Each imports what it needs when it is called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from gatesweep.cli import cells, data
from gatesweep.cli.answer import JsonOption, SetOption, SweepSetOption, answering, print_json, say
from gatesweep.cli.cluster_commands import (
    NewId,
    SweepFile,
    SweepId,
    clean,
    list_,
    logs,
    resume,
    retry,
    status,
    stop,
    submit,
)
from gatesweep.cli.doctor import doctor
from gatesweep.cli.importing import import_
from gatesweep.cli.result_commands import RunName, compare, reproduce, seeds, trace
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


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)] = False,
) -> None:
    if version:
        import gatesweep

        print(gatesweep.__version__)
        raise typer.Exit


def run(
    experiment: Experiment,
    set_: SetOption = None,
    cluster: Annotated[
        Path | None,
        typer.Option(metavar="CLUSTER", help="Train there instead of here, e.g. configs/clusters/ray.yaml"),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(min=1, help="Stop after so many epochs of the schedule: a quick check, with the same numbers."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Write metrics.json, curves.csv and run.json too, e.g. results/traffic"),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Train one model, score it, record it in MLflow.

    With --cluster it is submitted as a sweep of one trial, and followed by that sweep's id.
    """
    with answering():
        if cluster is not None:
            from gatesweep.cli.launching import submit_run

            submit_run(experiment, set_ or [], cluster, epochs=epochs, out=out, as_json=json)
            return
        from gatesweep.cli.training import train

        train(experiment, set_ or [], epochs, out, as_json=json)


def sweep(
    spec: SweepFile,
    set_: SweepSetOption = None,
    json: JsonOption = False,
    id_: NewId = None,
) -> None:
    """Search for the best configuration, here."""
    from gatesweep.cli.sweeping import search

    search(spec, set_ or [], sweep_id=id_, as_json=json)


def plan(
    spec: SweepFile,
    cluster: Annotated[
        Path | None,
        typer.Option(metavar="CLUSTER", help="Where it would run, e.g. configs/clusters/ray.yaml; else this machine."),
    ] = None,
    set_: SweepSetOption = None,
    timeout: Annotated[
        float, typer.Option(min=1, metavar="SECONDS", help="How long each of both measurements may take.")
    ] = 900.0,
    json: JsonOption = False,
) -> None:
    """Tell what a sweep would do and cost, and start nothing.

    A few real steps of the smallest and the largest configuration of its space are trained and timed; what cannot fit
    is refused.
    """
    from gatesweep.cli.planning import show_plan

    with answering():
        show_plan(spec, set_ or [], cluster, timeout_s=timeout, as_json=json)


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


def backtest(
    experiment: Experiment,
    folds: Annotated[int, typer.Option(min=1, help="How many trainings, each on a longer past.")] = 4,
    test: Annotated[float, typer.Option(help="Share of the series that each of them is scored on.")] = 0.1,
    val: Annotated[float, typer.Option(help="Share before it that chooses between its epochs.")] = 0.1,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Train and score again and again, walking forward in time."""
    from gatesweep.cli.training import walk_forward

    with answering():
        walk_forward(experiment, set_ or [], folds, test, val, as_json=json)


def sample(
    run: RunName,
    prompt: Annotated[str, typer.Option(help='What it begins with, e.g. "the film is"; "60 64 67"')] = "",
    tokens: Annotated[int, typer.Option(help="How many words, characters or frames to write.")] = 50,
    temperature: Annotated[float, typer.Option(help="Below 1 likelier words come more often; 0: the likeliest.")] = 1.0,
    top_p: Annotated[float, typer.Option(help="Draw from the likeliest of this share, e.g. 0.9")] = 1.0,
    seed: Annotated[int, typer.Option(help="The same seed writes the same.")] = 0,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write it there too: text, or of music MIDI, e.g. new.mid")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Let a run's language model write, or a model of music compose."""
    from gatesweep.cli.training import sample as write

    with answering():
        write(run, prompt, tokens, temperature, top_p, seed, out, as_json=json)


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


# as `gatesweep --help` lists them
for command in (run, plan, sweep, submit, status, logs, stop, resume, retry, evaluate, reproduce, compare, seeds, trace,
                backtest, sample, report, list_, clean, validate, import_, schema, ui, doctor):  # fmt: skip
    app.command(command.__name__.strip("_"))(command)
app.add_typer(cells.app, name="cells", help="The cells: list, show, build, gradient-flow.")
app.add_typer(data.app, name="data", help="The data sets: list, pull, verify, add, diff, quality.")
