"""`compare` and `seeds`: several runs side by side, one configuration over several seeds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gatesweep.cli.answer import libraries_on_stderr, print_json, say

if TYPE_CHECKING:
    from rich.table import Table

    from gatesweep.reproduce.compare import Comparison
    from gatesweep.reproduce.spread import Seeds

_WIDEST = 44


def compare_runs(names: Sequence[str], metric: str | None, out: Path | None, *, as_json: bool) -> None:
    """Compare, write, print."""
    from gatesweep import api
    from gatesweep.reproduce.tables import check_folder

    if out is not None:
        check_folder(out)
    found = api.compare(*names, metric=metric)
    folder = found.write(out or api.folder_of(found))
    if as_json:
        curves = str(folder / "curves.svg") if found.curves else None
        print_json({**found.as_dict(), "folder": str(folder), "curves": curves})
        return
    _print_comparison(found)
    print(f"written to {folder}")


def _print_comparison(found: Comparison) -> None:
    """Answers first, then what differs; parts without a difference are one line."""
    from rich.console import Console

    from gatesweep.reproduce.differences import told
    from gatesweep.reproduce.tables import score_text

    console = Console()
    labels = [side.label for side in found.sides]
    for test in found.tests:
        console.print(test.sentence, highlight=False, markup=False, soft_wrap=True)
        if test.hint:
            console.print(f"  hint: {test.hint}", highlight=False, markup=False, soft_wrap=True)
    for note in found.notes:
        console.print(f"note: {note}", highlight=False, markup=False, soft_wrap=True)
    scores = [(metric, *(score_text(values[label]) for label in labels)) for metric, values in found.values.items()]
    if scores:
        console.print(_table(("scores", *labels), scores, right=True))
    for title, rows in (("configuration", found.config), ("environment", found.environment)):
        cells = [(str(key), *(told(value, _WIDEST) for value in row))
                 for key, row in zip(rows.index, rows.values.tolist(), strict=True)]  # fmt: skip
        unknown = title == "environment" and not all(each.locked for side in found.sides for each in side.members)
        console.print(_table((title, *labels), cells) if cells else
                      f"{title}: {'not known of all' if unknown else 'no difference'}")
    lines = [line for change in found.data_changes for line in change.lines()] or ["no difference"]
    console.print("\n".join([f"data: {lines[0]}", *lines[1:]]), highlight=False, markup=False,
                  soft_wrap=True)  # fmt: skip


def train_seeds(name: str, n: int, overrides: list[str], *, as_json: bool) -> None:
    """Train over seeds, print."""
    from gatesweep import api
    from gatesweep.cli.training import _progress
    from gatesweep.errors import NegativeVerdict
    from gatesweep.reproduce.seeds import configuration_for, seeds

    store = api.open_store()
    trainer = configuration_for(name, overrides, store)[1].trainer
    try:
        with libraries_on_stderr(), _progress(trainer.monitor, trainer.max_epochs) as bar:
            found = seeds(name, store, n=n, overrides=overrides, listener=bar.listener())
    except KeyboardInterrupt:
        say("\nthe same command goes on where this one was")
        raise
    if as_json:
        print_json(found.as_dict())
    else:
        _print_seeds(found)
    if not found.completed:
        raise NegativeVerdict(f"not one of {n} seeds was trained to its end", place=f"seeds {name}",
                              hint="try another configuration, e.g. --set optimizer.lr=0.001")  # fmt: skip


def _print_seeds(found: Seeds) -> None:
    from rich.console import Console

    from gatesweep.report.words import number
    from gatesweep.reproduce.tables import score_text

    console = Console()
    done = found.completed
    rows = [(metric, score_text(values), f"{min(values):.5g}", f"{max(values):.5g}",
             *(number(value) for value in values)) for metric, values in found.metrics.items()]  # fmt: skip
    heads = ("metric", "mean ± sd", "min", "max", *(f"seed {each.seed}" for each in done))
    console.print(_table(heads, rows, right=True))
    for each in found.all:
        state = f"failed: {each.failed}" if each.failed else "trained now" if each.trained else "was there"
        console.print(f"seed {each.seed}  run {each.run_id}  {state}", highlight=False, markup=False)
    console.print(f"compare them with others: gatesweep compare seeds:{found.all[0].run_id} seeds:RUN",
                  highlight=False, markup=False, soft_wrap=True)  # fmt: skip


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, right: bool = False) -> Table:
    """No user's text is read as markup."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    from gatesweep.report.words import clean

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for place, head in enumerate(heads):
        table.add_column(Text(clean(head)), justify="right" if right and place else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(clean(cell)) for cell in row))
    return table
