"""What a run on long reviews is worth on short sentences, over the number of sentences to learn from.

    python benchmarks/tasks/transfer.py --resume [--seeds 3]        docs/transfer.svg is drawn from its rows

Every share of the Rotten Tomatoes training sentences is trained on twice: from random weights (with the words of its
own sentences) and from a run of sentiment.yaml. The source is trained once and kept in .gatesweep/benchmarks.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
from collections.abc import Sequence
from pathlib import Path

from rows import RESULTS, ROOT, Row, Rows, train

CONFIGS = ROOT / "configs" / "experiments"
HOME = ROOT / ".gatesweep" / "benchmarks" / "transfer"
FRACTIONS = (0.01, 0.03, 0.1, 0.3, 1.0)
EPOCHS = {0.01: 30, 0.03: 20, 0.1: 12, 0.3: 8, 1.0: 6}
"""Few sentences are seen more often."""
FIGURE = ROOT / "docs" / "transfer.svg"


def source_run() -> str:
    """The run that the others start from."""
    kept = HOME / "source.json"
    if not kept.is_file():
        HOME.mkdir(parents=True, exist_ok=True)
        row = train("source", CONFIGS / "sentiment.yaml", seed=1, home=str(HOME))
        kept.write_text(json.dumps({"run_id": row["run_id"], "metrics": row["metrics"]}))
    run_id: str = json.loads(kept.read_text())["run_id"]
    return run_id


def one(fraction: float, start: str, seed: int) -> Row:
    """Train on a share of the sentences."""
    overrides = [f"data.fraction={fraction}", f"trainer.max_epochs={EPOCHS[fraction]}"]
    overrides += [f"init_from.run={source_run()}"] if start == "reviews" else ["init_from=none", "data.min_count=1"]
    row = train(f"{fraction:.0%} of the sentences, from {start}", CONFIGS / "sentiment_transfer.yaml", seed=seed,
                overrides=overrides, home=str(HOME))  # fmt: skip
    return row | {"fraction": fraction, "start": start, "show": ["test/accuracy", "test/auroc"]}


def draw(rows: Sequence[Row]) -> None:
    """Accuracy over sentences, with and without the reviews."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    sentences = 6824  # 80% of 8,530
    for start, colour in (("reviews", "#d1495b"), ("nothing", "#222222")):
        points = {f: [r["metrics"]["test/accuracy"] for r in rows if (r["fraction"], r["start"]) == (f, start)]
                  for f in FRACTIONS}  # fmt: skip
        there = [f for f in FRACTIONS if points[f]]
        axes.errorbar([f * sentences for f in there], [statistics.mean(points[f]) for f in there],
                      yerr=[statistics.pstdev(points[f]) for f in there], color=colour, marker="o", markersize=4,
                      capsize=3, label=f"from {start}")  # fmt: skip
    linear = [r for r in rows if r["start"] == "nothing"]
    found = {f: next(r["baseline"]["metrics"]["test/accuracy"] for r in linear if r["fraction"] == f)
             for f in FRACTIONS if any(r["fraction"] == f for r in linear)}  # fmt: skip
    axes.plot([f * sentences for f in found], list(found.values()), color="#8d96a3", linestyle="--", label="bigrams")
    axes.set(xscale="log", xlabel="training sentences", ylabel="test accuracy",
             title="Rotten Tomatoes sentences, with and without the reviews' weights")  # fmt: skip
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(FIGURE, metadata={"Date": None})
    print(Path(FIGURE).relative_to(ROOT))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resume", action="store_true", help="keep finished rows and go on after them")
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    rows = Rows(RESULTS / "transfer.json", resume=arguments.resume)
    for seed in range(1, arguments.seeds + 1):
        for fraction in FRACTIONS:
            for start in ("reviews", "nothing"):
                if not rows.has(f"{fraction:.0%} of the sentences, from {start}", seed):
                    rows.add(one(fraction, start, seed))
                    print(rows.rows[-1]["name"], rows.rows[-1]["metrics"]["test/accuracy"], flush=True)
    draw(rows.rows)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "2")
    main()
