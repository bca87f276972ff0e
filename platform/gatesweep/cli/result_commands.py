"""The commands about results: `reproduce`, `compare`, `seeds`, `trace`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from gatesweep.cli.answer import JsonOption, SetOption, answering

RunName = Annotated[
    str, typer.Argument(metavar="RUN", help="A run id, a trial id (traffic-20261123-ab12cd/t0007), or best:<sweep id>")
]


def reproduce(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run, a trial, best:<sweep id>, or a whole sweep's id.")],
    epochs: Annotated[int | None, typer.Option(min=1, help="Compare the first epochs alone: a quick check.")] = None,
    here: Annotated[
        bool, typer.Option("--here", help="With the code of this folder as it is, in the place of the recorded one.")
    ] = False,
    tolerance: Annotated[
        float | None, typer.Option(min=0, help="Relative difference up to which numbers are within_tolerance.")
    ] = None,
    env: Annotated[
        Literal["here", "strict"],
        typer.Option(help="strict: in an environment with the packages that the run had, built first from its lock."),
    ] = "here",
    python: Annotated[
        Path | None, typer.Option(help="Another interpreter, with packages of its own, e.g. other/bin/python.")
    ] = None,
    on: Annotated[
        Path | None,
        typer.Option(metavar="CLUSTER", help="Train there instead of here, e.g. configs/clusters/ray.yaml"),
    ] = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Train a run again and compare every number, bit by bit.

    Its code comes from its commit and recorded difference, its data by their pins, its settings from its lock.

    The verdict is bitwise, within_tolerance or diverged (exit code 3). Nothing of the working folder is touched.
    """
    from gatesweep.cli.reproducing import again

    with answering():
        again(run, set_ or [], epochs, tolerance, python, on, here=here, strict=env == "strict", as_json=json)


def compare(
    runs: Annotated[
        list[str],
        typer.Argument(metavar="RUN", show_default=False,
                       help="Two or more: run ids, trial ids, best:<sweep id>; seeds:RUN: all of RUN's seed group"),
    ],
    metric: Annotated[
        str | None,
        typer.Option(help="What to compare them by, e.g. val/mae; by default what the first run watched, on test.",
                     show_default=False),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Where tables and curves go; by default below .gatesweep/comparisons",
                     show_default=False),
    ] = None,
    json: JsonOption = False,
) -> None:  # fmt: skip
    """Compare runs: settings, data, curves, a test over seeds."""
    from gatesweep.cli.comparing import compare_runs

    with answering():
        compare_runs(runs, metric, out, as_json=json)


def seeds(
    run: RunName,
    n: Annotated[int, typer.Option("--n", help="How many seeds: the run's own, and those after it.")] = 5,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Train a run's configuration with several seeds.

    Seeds that are there already are not trained again, and an interrupted one is gone on with.
    """
    from gatesweep.cli.comparing import train_seeds

    with answering():
        train_seeds(run, n, set_ or [], as_json=json)


def trace(
    what: Annotated[
        str,
        typer.Argument(
            metavar="RUN|MODEL|FILE",
            help="A run, a sweep, models:/traffic/3, a checkpoint, or data, e.g. data/traffic or own.csv",
            show_default=False,
        ),
    ],
    json: JsonOption = False,
) -> None:
    """Lead a run or a checkpoint back to its code, data on to runs.

    A run, a registered model or a checkpoint: back to sweep, commit and data, with the commands that bring them back.
    A file or folder of data: the pinned sets that hold it, and every run that read them. Files are known by their
    content, wherever they were copied.
    """
    from gatesweep.cli.tracing import show

    with answering():
        show(what, as_json=json)
