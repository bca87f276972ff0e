"""What a run on traffic is worth on energy demand, over the hours there are to learn from.

    python benchmarks/tasks/forecasting_transfer.py --resume [--seeds 3]       docs/transfer_series.svg is drawn from it

Every share of energy's training windows is trained on twice: from random weights, and from a run on traffic with the
same columns. The source is trained once and kept in .gatesweep/benchmarks.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Sequence

from rows import RESULTS, ROOT, Row, Rows, train

CONFIGS = ROOT / "configs" / "experiments"
HOME = ROOT / ".gatesweep" / "benchmarks" / "forecasting_transfer"
FIGURE = ROOT / "docs" / "transfer_series.svg"
HOURS = 18_222
"""Training windows of energy.yaml."""

EPOCHS = {0.01: 30, 0.03: 20, 0.1: 12, 0.3: 8, 1.0: 6}
"""Few hours are seen more often."""


def source_run() -> str:
    """The run that the others start from."""
    kept = HOME / "source.json"
    if not kept.is_file():
        HOME.mkdir(parents=True, exist_ok=True)
        row = train("source", CONFIGS / "energy.yaml", seed=1, overrides=["data.name=traffic"], home=str(HOME))
        kept.write_text(json.dumps({"run_id": row["run_id"], "metrics": row["metrics"]}))
    run_id: str = json.loads(kept.read_text())["run_id"]
    return run_id


def one(fraction: float, start: str, seed: int) -> Row:
    """Train on a share of the hours."""
    overrides = [f"data.fraction={fraction}", f"trainer.max_epochs={EPOCHS[fraction]}"]
    overrides += [f"init_from.run={source_run()}"] if start == "traffic" else ["init_from=none", "optimizer.lr=3e-3"]
    row = train(name_of(fraction, start), CONFIGS / "energy_transfer.yaml", seed=seed, overrides=overrides,
                home=str(HOME))  # fmt: skip
    return row | {"fraction": fraction, "start": start, "show": ["test/mae", "val/mae"]}


def name_of(fraction: float, start: str) -> str:
    """A row's name."""
    return f"energy, {fraction:.0%} of the hours, from {start}"


def draw(rows: Sequence[Row]) -> None:
    """MAE over hours, with and without traffic."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for start, colour in (("traffic", "#d1495b"), ("nothing", "#222222")):
        points = {f: [r["metrics"]["test/mae"] for r in rows if (r["fraction"], r["start"]) == (f, start)]
                  for f in EPOCHS}  # fmt: skip
        there = [f for f in EPOCHS if points[f]]
        axes.errorbar([f * HOURS for f in there], [statistics.mean(points[f]) for f in there],
                      yerr=[statistics.pstdev(points[f]) for f in there], color=colour, marker="o", markersize=4,
                      capsize=3, label=f"from {start}")  # fmt: skip
    axes.axhline(rows[0]["baseline"]["metrics"]["test/mae"], color="#8d96a3", linestyle="--",
                 label=rows[0]["baseline"]["name"])  # fmt: skip
    axes.set(xscale="log", xlabel="training windows", ylabel="test MAE",
             title="Energy a day ahead, with and without the weights of traffic")  # fmt: skip
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(FIGURE, metadata={"Date": None})
    print(FIGURE.relative_to(ROOT))


def main() -> None:
    """Train what is not there yet, then draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resume", action="store_true", help="keep finished rows and go on after them")
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args()
    rows = Rows(RESULTS / "forecasting_transfer.json", resume=asked.resume)
    for seed in range(1, asked.seeds + 1):
        for fraction in EPOCHS:
            for start in ("traffic", "nothing"):
                if not rows.has(name_of(fraction, start), seed):
                    rows.add(one(fraction, start, seed))
    draw(rows.rows)


if __name__ == "__main__":
    main()
