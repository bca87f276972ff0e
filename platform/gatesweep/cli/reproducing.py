"""`reproduce`: the same numbers again, or what differs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from gatesweep.cli.answer import print_json, say
from gatesweep.errors import NegativeVerdict

if TYPE_CHECKING:
    from gatesweep.reproduce.reproduce import Reproduction
    from gatesweep.reproduce.sweeps import SweepReproduction

MOST_CAUSES = 12


def again(name: str, overrides: list[str], epochs: int | None, tolerance: float | None, python: Path | None,
          on: Path | None, *, here: bool, strict: bool, as_json: bool) -> None:  # fmt: skip
    """Train again, compare, print; exit code 3 where the numbers are others."""
    import gatesweep
    from gatesweep.reproduce.sweeps import SweepReproduction

    found = gatesweep.reproduce(name, epochs=epochs, here=here, tolerance=tolerance, strict=strict,
                                python=str(python) if python else None, overrides=overrides, on=on,
                                say=say)  # fmt: skip
    if as_json:
        print_json(found.as_dict())
    elif isinstance(found, SweepReproduction):
        _print_sweep(found)
    else:
        _print(found)
    if found.verdict == "diverged":
        raise NegativeVerdict(f"{name} diverged")


def _print_sweep(found: SweepReproduction) -> None:
    from rich.console import Console
    from rich.table import Table

    console, table = Console(highlight=False), Table("trial", "verdict", "values", "first difference", "again as")
    for name, each in found.trials.items():
        first = each.judged.first
        values = f"{each.judged.compared:,}"
        table.add_row(name.rpartition("/")[2], each.verdict, values, first.named if first else "", each.rerun_id)
    for name, why in found.left_out.items():
        table.add_row(name.rpartition("/")[2], "left out", "", why, "")
    console.print(table)
    others = f", {len(found.other_decisions)} of them are others" if found.other_decisions else ", all the same"
    console.print(f"{found.decisions:,} proposals and decisions{others}")
    console.print(f"[bold]{found.verdict}[/bold]: sweep {found.sweep_id}")


def _print(found: Reproduction) -> None:
    from rich.console import Console
    from rich.table import Table

    judged, console = found.judged, Console(highlight=False)
    part, same = f" of the first {found.epochs} epochs" if found.epochs else "", judged.compared - judged.different
    counted = f"{same:,} of {judged.compared:,} values{part}"
    console.print(f"[bold]{found.verdict}[/bold]: {counted} are the same, bit for bit")
    if judged.first is not None:
        first = judged.first
        was, now = ("missing" if value is None else repr(value) for value in (first.was, first.is_now))
        console.print(f"first difference: {first.named}: was {was}, is {now}", soft_wrap=True)
        if math.isfinite(judged.largest):
            console.print(f"largest: {judged.largest:.2g} of a value; tolerance {found.tolerance:g}")
    if found.environment:
        table = Table("what is another", "was", "is", title="likeliest cause first" if judged.different else None)
        for each in found.environment[:MOST_CAUSES]:
            told = each.as_dict()
            table.add_row(each.key, str(told.get("was", "-")), str(told.get("now", "-")))
        console.print(table)
        if len(found.environment) > MOST_CAUSES:
            console.print(f"and {len(found.environment) - MOST_CAUSES} more: --json has all")
    console.print(f"run {found.run_id}, again as run {found.rerun_id}", soft_wrap=True)
