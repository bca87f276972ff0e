"""gatesweep cells: what cells there are, their mathematics, their native code, their gradients through time."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gatesweep.cli.answer import JsonOption, answering, print_json, say

if TYPE_CHECKING:
    from gatesweep.cells.description import Cell

app = typer.Typer(no_args_is_help=True, help="Cells: their equations, costs, native code and gradients.")

InputSize = Annotated[int, typer.Option("--input-size", metavar="D", min=1, help="Inputs a step, e.g. 64")]
HiddenSize = Annotated[int, typer.Option("--hidden-size", metavar="H", min=1, help="Hidden units, e.g. 128")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="A cell, e.g. peephole")]
Names = Annotated[
    list[str] | None, typer.Argument(metavar="[NAME]...", help="e.g. peephole; none means all", show_default=False)
]
DEFAULT_CURVES = (("rnn", 1.0), ("gru", 1.0), ("vanilla", 0.0), ("vanilla", 1.0), ("vanilla", 2.0), ("vanilla", 4.0),
                  ("coupled", 1.0), ("fgr", 1.0), ("slstm", 1.0))  # fmt: skip


@app.command("list")
def list_(input_size: InputSize = 64, hidden_size: HiddenSize = 128, json: JsonOption = False) -> None:
    """Show every cell: gates, states, parameters, FLOPs, paper."""
    from gatesweep.cells.names import NAMES

    with answering():
        facts = [_facts(name, _find(name), input_size, hidden_size) for name in NAMES]
    if json:
        print_json({"input_size": input_size, "hidden_size": hidden_size, "cells": facts})
        return
    rows = [[f["cell"], " ".join(f["gates"]), " ".join(f["states"]), f"{f['parameters']:,}",
             f"{f['forward_flops']:,}", f"{f['backward_flops']:,}", _short(f["paper"])] for f in facts]
    _table(["cell", "gates", "states", "parameters", "FLOPs", "backward", "paper"], rows)
    say(f"for {input_size} inputs and {hidden_size} hidden units; FLOPs of one step of one sequence")


@app.command()
def show(
    name: Name,
    peepholes: Annotated[bool | None, typer.Option("--peepholes/--no-peepholes", help="Add or take away.")] = None,
    example: Annotated[bool, typer.Option("--example", help="One step of one unit in numbers, instead.")] = False,
    input_size: InputSize = 64,
    hidden_size: HiddenSize = 128,
    json: JsonOption = False,
) -> None:
    """Show a cell's equations, drawing and counts.

    Forwards, and backwards as derived; all of it is read off the step that runs, nothing is written by hand.
    """
    from gatesweep.cells.drawing import drawing
    from gatesweep.cells.example import example_text

    with answering():
        cell = _find(name, peepholes)
    facts = _facts(cell.name, cell, input_size, hidden_size)
    forward, backward = _equations(cell)
    if json:
        print_json({**facts, "forward": forward, "backward": backward, "drawing": drawing(cell),
                    "example": example_text(cell)})  # fmt: skip
        return
    if example:
        typer.echo("\n".join(example_text(cell)))
        return
    head = f"{cell.name}{' without peepholes' if cell.name == 'peephole' and not cell.peepholes else ''}"
    parts = {
        f"{head}: {facts['paper']}": drawing(cell),
        "forwards": forward,
        "backwards, from δh' (what the output and the next step ask for):": backward,
        "summed over steps and sequences": _weights(cell),
        f"with {input_size} inputs and {hidden_size} hidden units": [
            f"{facts['parameters']:,} parameters",
            f"{facts['forward_flops']:,} FLOPs forwards, {facts['backward_flops']:,} backwards, a step of a sequence",
        ],
    }
    typer.echo("\n\n".join("\n".join([title, "", *(f"    {row}".rstrip() for row in rows)])
                           for title, rows in parts.items()))  # fmt: skip


@app.command()
def build(names: Names = None, json: JsonOption = False) -> None:
    """Compile the native loops, so that no worker has to.

    They go to the folder that GATESWEEP_KERNELS names, else to cache/kernels of the home folder.
    """
    from gatesweep.cells.building import build as compiled
    from gatesweep.cells.compiler import NoCompiler
    from gatesweep.cells.names import NAMES
    from gatesweep.errors import ResourceError

    with answering():
        cells = [_find(name) for name in names or NAMES]
        try:
            done = list(compiled(cells))
        except NoCompiler as error:
            raise ResourceError(str(error), place="cells build",
                                hint="install gcc or clang, or name a compiler in CC; without one the cells run on "
                                     "torch alone, slower") from error
    if json:
        print_json({"libraries": [{"cell": each.cell, "dtype": each.dtype, "path": str(each.path),
                                   "seconds": round(each.seconds, 3)} for each in done]})  # fmt: skip
        return
    _table(["cell", "numbers", "seconds", "library"],
           [[each.cell, each.dtype, f"{each.seconds:.2f}", each.path.name] for each in done])
    for folder in sorted({str(each.path.parent) for each in done}):
        typer.echo(f"in {folder}")
    left_out = sorted({cell.name for cell in cells} - {each.cell for each in done})
    if left_out:
        say(f"no native loops: {', '.join(left_out)}")


@app.command("gradient-flow")
def gradient_flow(
    length: Annotated[int, typer.Option("--length", metavar="T", min=2, help="Steps, e.g. 200")] = 200,
    cell: Annotated[list[str] | None, typer.Option("--cell", metavar="NAME", help="e.g. nfg. Repeatable.")] = None,
    forget_bias: Annotated[
        list[float] | None, typer.Option("--forget-bias", metavar="B", help="e.g. 1, for every cell. Repeatable.")
    ] = None,
    hidden_size: HiddenSize = 64,
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="The figure: .png, .svg, .pdf or .html")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Measure how gradients fade through time, before training."""
    from gatesweep.cells.flow import gradient_flow as measure
    from gatesweep.report.gradient_flow import write_figure

    with answering():
        asked = [(_find(name).name, bias) for name in cell or () for bias in forget_bias or (1.0,)]
        if not asked:
            cells = dict.fromkeys(name for name, _ in DEFAULT_CURVES)
            asked = [(name, bias) for name in cells for bias in forget_bias] if forget_bias else list(DEFAULT_CURVES)
        curves = [measure(name, length=length, hidden_size=hidden_size, forget_bias=bias) for name, bias in asked]
        curves = list({curve.label: curve for curve in curves}.values())  # a bias changes nothing where there is none
        if output:
            write_figure(curves, output)
    if json:
        print_json({"length": length, "hidden_size": hidden_size, "output": output, "curves": [
            {"cell": c.cell, "forget_bias": c.forget_bias, "halves_in": c.halves_in, "norm": c.norm} for c in curves
        ]})  # fmt: skip
        return
    back = [steps for steps in (1, 10, 50, 100, 200, 500, 1000) if steps < length]
    halves = ["does not halve" if c.halves_in is None else f"{c.halves_in:.1f} steps" for c in curves]
    _table(["cell", "halves in", *(f"{steps} back" for steps in back)],
           [[c.label, half, *(f"{c.norm[-1 - steps]:.1e}" for steps in back)]
            for c, half in zip(curves, halves, strict=True)])
    if output:
        say(f"wrote {output}")


def _find(name: str, peepholes: bool | None = None) -> Cell:
    from gatesweep.cells.variants import find
    from gatesweep.errors import ConfigError

    try:
        return find(name, peepholes)
    except ValueError as error:
        message, _, hint = str(error).partition("\n\nhint: ")
        raise ConfigError(message, hint=hint or None) from error


def _facts(name: str, cell: Cell, input_size: int, hidden_size: int) -> dict[str, Any]:
    from gatesweep.cells.counts import counts
    from gatesweep.cells.papers import PAPERS

    found = counts(cell, input_size, hidden_size)
    return {"cell": name, "gates": list(cell.gates), "states": list(cell.states), "peepholes": list(cell.peepholes),
            "paper": PAPERS[name], **found._asdict()}


def _short(paper: str) -> str:
    """First author and year."""
    year = re.search(r"\b(?:19|20)\d\d\b", paper)
    return f"{re.split(r'[ ,]', paper)[0]} {year[0] if year else ''}"


def _equations(cell: Cell) -> tuple[list[str], list[str]]:
    from gatesweep.cells.equations import equations
    from gatesweep.cells.writing import written

    found = equations(cell)
    forward, backward = ([f"{line.name} {'+=' if line.added else '='} {written(line.value)}" for line in lines]
                         for lines in found)
    return forward, backward


def _weights(cell: Cell) -> list[str]:
    """What no single step gives: the gradients of the matrices and biases, products over all steps."""
    from gatesweep.cells.equations import weight_gradients

    return weight_gradients(cell)


def _table(head: list[str], rows: list[list[str]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(*head, box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    for row in rows:
        table.add_row(*row)
    Console().print(table)
