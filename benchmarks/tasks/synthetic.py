"""What each cell can remember: trainings of one budget at growing lengths, and the committed long ones.

    python benchmarks/tasks/synthetic.py [--resume] [--only NAME] [--cells gru vanilla …] [--problems adding …]
                                         [--seeds N] [--page]

A cell goes on to the next length of a problem as long as it solves the last one: every row is one training, on disk as
soon as it is over. `--page` makes docs/tasks/synthetic_memory.md and its curves out of the rows and trains nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from rows import RESULTS, ROOT, Row, Rows, train

EXPERIMENTS = ROOT / "configs" / "experiments"
PAGE = ROOT / "docs" / "tasks" / "synthetic_memory.md"
CURVES = PAGE.with_suffix(".png")
LENGTHS = {"adding": (50, 100, 200, 400, 800, 2000), "copy": (10, 30, 100, 200, 500), "recall": (25, 50, 100, 200, 500),
           "parity": (5, 10, 20, 50, 100), "reber": (1, 20, 50, 100, 200)}  # fmt: skip
SOLVED = {"adding": ("loss", 0.005), "copy": ("accuracy", 0.99), "recall": ("accuracy", 0.99),
          "parity": ("accuracy", 0.99), "reber": ("accuracy", 0.99)}  # fmt: skip
"""On test: at most that loss, or at least that accuracy."""

CHRONO = ("vanilla", "peephole", "coupled", "gru", "slstm", "mingru", "minlstm")
"""Cells whose gates start with memories up to the problem's length."""

CELLS = ("vanilla", "peephole", "coupled", "nig", "nfg", "nog", "niaf", "noaf", "fgr", "gru", "gru_before", "rnn",
         "slstm", "mlstm", "minlstm", "mingru")  # fmt: skip
FAMILIES = ("transformer", "tcn", "xlstm", "memory")
LONG = {
    "adding, T = 600": ("adding_600.yaml", "chrono-initialised; guessing has 1/6", "LSTM .164, GRU 5e-5"),
    "copy, T = 500": ("copy_500.yaml", "ten of eight symbols, by self-attention", ""),
}
BUDGET = ("data.train=4000", "data.fresh=true", "data.val=300", "data.test=500", "trainer.max_epochs=16",
          "trainer.batch_size=25", "model.hidden_size=48")  # fmt: skip
"""64,000 examples, each seen once."""


def main() -> None:
    """Train what is not there yet, or write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resume", action="store_true", help="keep the rows that are there")
    parser.add_argument("--only", choices=[*LONG, "lengths"], help="one long row, or the growing lengths alone")
    parser.add_argument("--cells", nargs="+", default=[*CELLS, *FAMILIES], choices=[*CELLS, *FAMILIES])
    parser.add_argument("--problems", nargs="+", default=[*LENGTHS], choices=LENGTHS)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--page", action="store_true", help="write the page from the rows that are there")
    asked = parser.parse_args()
    rows = Rows(RESULTS / "synthetic.json", resume=asked.resume or asked.page or asked.only is not None)
    if asked.page:
        write_page(rows.rows)
        return
    for seed in range(1, asked.seeds + 1):
        for name, (file, about, published) in LONG.items():
            if asked.only in (None, name) and not (asked.resume and rows.has(name, seed)):
                row = train(name, EXPERIMENTS / file, seed=seed, about=about)
                rows.add({**row, "published": published, "show": ["test/loss", "test/accuracy"]})
                print(name, f"seed {seed}:", told(row))
        if asked.only in (None, "lengths"):
            for problem in asked.problems:
                for cell in asked.cells:
                    grow(rows, problem, cell, seed, resume=asked.resume)


def grow(rows: Rows, problem: str, cell: str, seed: int, *, resume: bool) -> None:
    """A cell at longer and longer lengths, to the first that it does not solve."""
    for length in LENGTHS[problem]:
        name = f"{problem}, T = {length}, {cell}"
        if not (resume and rows.has(name, seed)):
            row = train(name, EXPERIMENTS / "synthetic.yaml", seed=seed, overrides=overrides_of(problem, length, cell))
            rows.add({**row, "problem": problem, "length": length, "cell": cell,
                      "show": [f"test/{SOLVED[problem][0]}"]})  # fmt: skip
            print(name, f"seed {seed}:", told(row))
        if not solved(next(each for each in rows.rows if (each["name"], each["seed"]) == (name, seed))):
            return


def overrides_of(problem: str, length: int, cell: str) -> list[str]:
    """The quick experiment with another problem, cell or family, in the common budget."""
    kind = f"model.family={cell}" if cell in FAMILIES else f"model.cell={cell}"
    chrono = f"model.chrono={max(3, length)}" if cell in CHRONO else "model.chrono=none"
    recurrent = [] if cell in FAMILIES and cell != "memory" else [chrono]
    unneeded = ["model.cell=vanilla", "model.chrono=none"] if cell in FAMILIES else []
    context = ["model.context=4096"] if cell == "transformer" else []
    return [f"data.problem={problem}", f"data.length={length}", *unneeded, *recurrent, kind, *context, *BUDGET]


def solved(row: Row) -> bool:
    """Whether a row reached what counts as solved."""
    measure, border = SOLVED[row["problem"]]
    value: float = row["metrics"][f"test/{measure}"]
    return value <= border if measure == "loss" else value >= border


def told(row: Row) -> str:
    return f"{ {key: round(row['metrics'][f'test/{key}'], 4) for key in ('loss', 'accuracy')} } {row['wall_s']:.0f} s"


def write_page(rows: Sequence[Row]) -> None:
    """The longest length that each cell solves, as a table; its score over the length, as curves."""
    grown = [row for row in rows if "cell" in row]
    lines = ["# What each cell can remember", "",
             f"The longest length that is solved within one budget ({', '.join(BUDGET)}), by "
             "`benchmarks/tasks/synthetic.py`; `-`: not even the shortest. Solved is " + "; ".join(
                 f"{problem}: {measure} {'<=' if measure == 'loss' else '>='} {border}"
                 for problem, (measure, border) in SOLVED.items()) + ".", "",
             f"| cell | {' | '.join(LENGTHS)} |", "|---|" + "---|" * len(LENGTHS)]  # fmt: skip
    for cell in dict.fromkeys(row["cell"] for row in grown):
        lines.append(f"| {cell} | {' | '.join(longest(grown, cell, problem) for problem in LENGTHS)} |")
    PAGE.write_text("\n".join([*lines, "", f"![right answers over the length]({CURVES.name})", ""]))
    draw(grown, CURVES)
    print(PAGE.relative_to(ROOT))


def longest(rows: Sequence[Row], cell: str, problem: str) -> str:
    """Over all seeds that were tried; empty where none was."""
    tried = [row for row in rows if (row["cell"], row["problem"]) == (cell, problem)]
    done = [length for length in {row["length"] for row in tried}
            if all(solved(row) for row in tried if row["length"] == length)]  # fmt: skip
    return "" if not tried else str(max(done, default="-"))


def draw(rows: Sequence[Row], file: Path) -> None:
    """A panel for each problem: test accuracy over the length, a line for each cell."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    problems = [problem for problem in LENGTHS if any(row["problem"] == problem for row in rows)]
    figure = Figure(figsize=(9, 3.2 * max(1, len(problems))), layout="constrained")
    FigureCanvasAgg(figure)
    for place, problem in enumerate(problems, 1):
        axes = figure.add_subplot(len(problems), 1, place)
        for cell in dict.fromkeys(row["cell"] for row in rows):
            points = sorted((row["length"], row["metrics"]["test/accuracy"]) for row in rows
                            if (row["cell"], row["problem"]) == (cell, problem))  # fmt: skip
            if points:
                axes.plot(*zip(*points, strict=True), marker="o", label=cell)
        axes.set(title=problem, xlabel="length", ylabel="right answers", xscale="log", ylim=(0, 1.05))
        axes.legend(frameon=False, fontsize=7, ncols=2, loc="center left", bbox_to_anchor=(1, 0.5))
    figure.savefig(file, dpi=110)


if __name__ == "__main__":
    main()
