"""`gatesweep import`: sweeps of other tools."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gatesweep.cli.answer import JsonOption, answering, print_json, say

if TYPE_CHECKING:
    from gatesweep.sweep.imported.reading import Imported

Rename = typer.Option(
    "--rename", metavar="THEIRS=OURS", help="Name a parameter or the metric, e.g. --rename width=model.hidden_size. "
    "Repeatable.",
)  # fmt: skip


def import_(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A W&B sweep or a Katib Experiment, e.g. wandb-sweep.yaml")
    ],
    experiment: Annotated[
        Path | None,
        typer.Option(metavar="EXPERIMENT", help="What the sweep varies, e.g. configs/experiments/traffic.yaml"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write it there, not on stdout, e.g. configs/sweeps/new.yaml")
    ] = None,
    rename: Annotated[list[str] | None, Rename] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file that --out names.")] = False,
    json: JsonOption = False,
) -> None:
    """Turn a sweep of W&B or Katib into one of ours.

    What cannot be mapped is listed. With --experiment the space is tried on it, as `gatesweep sweep` would.
    """
    with answering():
        from gatesweep.sweep.imported.reading import import_sweep, write_sweep

        found = import_sweep(file, experiment=experiment, out=out, renames=rename or [])
        if out is not None:
            write_sweep(found, out, source=file, force=force)
        _tell(found)
        if json:
            unmapped = [vars(each) for each in found.unmapped]
            print_json({"file": file, "kind": found.kind, "out": out, "checked": found.checked, "mapped": found.mapped,
                        "unmapped": unmapped, "notes": found.report.notes, "sweep": found.values})  # fmt: skip
        elif out is None:
            print(found.text, end="")
        else:
            say(f"{out}: a sweep of {len(found.values['space'])} dimensions"
                f"{'' if found.checked else '; name its experiment in it before it is started'}")  # fmt: skip


def _tell(found: Imported) -> None:
    """What could not be mapped, and what means something else here."""
    from gatesweep.sweep.imported.values import short
    from gatesweep.sweep.imported.writing import shown

    for each in found.unmapped:
        say(f"not mapped: {short(each.key, 100)} = {shown(each.value)}: {short(each.why, 300)}")
    for note in found.report.notes:
        say(f"note: {short(note, 300)}")
