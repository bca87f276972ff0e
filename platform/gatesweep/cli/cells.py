"""gatesweep cells: what cells there are, their mathematics, their native code, their gradients through time."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gatesweep.cli.answer import JsonOption, answering, print_json, say

if TYPE_CHECKING:
    from gatesweep.cells.description import Cell
    from gatesweep.cells.shown import Shown

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
    from gatesweep.cells.names import MATRIX_CELLS, NAMES

    with answering():
        cells = [_shown(name, None, input_size, hidden_size) for name in (*NAMES, *MATRIX_CELLS)]
    if json:
        print_json({"input_size": input_size, "hidden_size": hidden_size, "cells": [_facts(cell) for cell in cells]})
        return
    rows = [[cell.name, " ".join(cell.gates), " ".join(cell.states), *(f"{count:,}" for count in cell.counts),
             _short(cell.paper)] for cell in cells]
    _table(["cell", "gates", "states", "weights", "FLOPs", "back", "paper"], rows, numbers=range(3, 6))
    say(f"for {input_size} inputs and {hidden_size} hidden units, of mlstm in one head; FLOPs of one step of one"
        " sequence, forwards and back")


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

    Forwards, and backwards as derived, read off the step that runs; of mlstm, whose state is a matrix, for one head
    of E units, drawn and worked out for one unit.
    """
    from gatesweep.cells.names import WITH_PEEPHOLES

    with answering():
        cell = _shown(name, peepholes, input_size, hidden_size)
    if json:
        print_json({**_facts(cell), "forward": cell.forward, "backward": cell.backward, "drawing": cell.drawing,
                    "example": cell.example})  # fmt: skip
        return
    if example:
        typer.echo("\n".join(cell.example))
        return
    bare = " without peepholes" if cell.name in WITH_PEEPHOLES and not cell.peepholes else ""
    parts = {
        f"{cell.name}{bare}: {cell.paper}": cell.drawing,
        "forwards": cell.forward,
        "backwards, from δh' (what the output and the next step ask for):": cell.backward,
        "summed over steps and sequences": cell.weights,
        f"with {input_size} inputs and {hidden_size} hidden units": [
            f"{cell.counts.parameters:,} parameters",
            f"{cell.counts.forward_flops:,} FLOPs forwards, {cell.counts.backward_flops:,} backwards, a step of a"
            " sequence",
        ],
    }
    typer.echo("\n\n".join("\n".join([title, "", *(f"    {row}".rstrip() for row in rows)])
                           for title, rows in parts.items()))  # fmt: skip


@app.command()
def build(
    names: Names = None,
    portable: Annotated[
        bool, typer.Option("--portable", help="For other machines: x86-64-v3 and -v4, not this processor.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Compile the native loops, so that no worker has to.

    They go to the folder that GATESWEEP_KERNELS names, else to cache/kernels of the home folder.
    """
    from gatesweep.cells.building import build as compiled
    from gatesweep.cells.compiler import NoCompiler
    from gatesweep.cells.levels import portable as levels
    from gatesweep.cells.names import NAMES
    from gatesweep.errors import ResourceError

    with answering():
        cells = [_find(name) for name in names or NAMES]
        try:
            done = list(compiled(cells, levels() if portable else ()))
        except NoCompiler as error:
            raise ResourceError(str(error), place="cells build",
                                hint="install gcc or clang, or name a compiler in CC; without one the cells run on "
                                     "torch alone, slower") from error
    if json:
        print_json({"libraries": [{"cell": each.cell, "dtype": each.dtype, "level": each.level, "path": str(each.path),
                                   "seconds": round(each.seconds, 3)} for each in done]})  # fmt: skip
        return
    _table(["cell", "numbers", "for", "seconds", "library"],
           [[each.cell, each.dtype, each.level or "here", f"{each.seconds:.2f}", each.path.name] for each in done])
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
    from gatesweep.report.gradient_flow import check_figure, write_figure

    with answering():
        _check_bias(cell or (), forget_bias or ())
        if output:
            check_figure(output)
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
    strangers = [curve.cell for curve in curves if curve.forget_bias is None]
    if forget_bias and strangers:
        say(f"--forget-bias changes nothing in {', '.join(strangers)}: no forget gate")


def _check_bias(cells: Collection[str], biases: Collection[float]) -> None:
    """Refuse what is no number, and a bias for cells none of which has the gate."""
    from gatesweep.errors import ConfigError

    for bias in biases:
        if not math.isfinite(bias):
            raise ConfigError(f"{bias} is no finite number", place="--forget-bias", hint="for example --forget-bias 1")
    if cells and biases and not any(_find(name).forget for name in cells):
        raise ConfigError(f"no forget gate in {', '.join(cells)}", place="--forget-bias",
                          hint="leave it out, or take a cell that has one, e.g. --cell vanilla")


def _shown(name: str, peepholes: bool | None, input_size: int, hidden_size: int) -> Shown:
    from gatesweep.cells.shown import shown

    with _refusing():
        return shown(name, peepholes, input_size, hidden_size)


def _find(name: str) -> Cell:
    from gatesweep.cells.variants import find

    with _refusing():
        return find(name)


@contextlib.contextmanager
def _refusing() -> Iterator[None]:
    """What the cells refuse, as the user's mistake."""
    from gatesweep.cells.names import parted
    from gatesweep.errors import ConfigError

    try:
        yield
    except ValueError as error:
        message, hint = parted(error)
        raise ConfigError(message, place="cells", hint=hint) from error


def _facts(cell: Shown) -> dict[str, Any]:
    return {"cell": cell.name, "gates": list(cell.gates), "states": list(cell.states),
            "peepholes": list(cell.peepholes), "paper": cell.paper, **cell.counts._asdict()}


def _short(paper: str) -> str:
    """First author and year."""
    year = re.search(r"\b(?:19|20)\d\d\b", paper)
    return f"{re.split(r'[ ,]', paper)[0]} {year[0] if year else ''}"


def _table(head: list[str], rows: list[list[str]], numbers: Collection[int] = ()) -> None:
    """A table for people; `numbers`: columns that are set flush right."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for k, title in enumerate(head):
        table.add_column(title, justify="right" if k in numbers else "left")
    for row in rows:
        table.add_row(*row)
    Console().print(table)
