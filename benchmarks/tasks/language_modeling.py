"""Perplexities of the committed experiments, one row each, kept as soon as its training is over.

    GATESWEEP_BENCH_DATA=... python benchmarks/tasks/language_modeling.py [--resume] [--only NAME] [--seeds N]

Rows of the Penn Treebank need GATESWEEP_BENCH_DATA/ptb: ptb.train.txt and ptb.valid.txt; without ptb.test.txt there are
no numbers on test. What is embedded needs nothing.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from rows import RESULTS, ROOT, Rows, bench_data, train

EXPERIMENTS = ROOT / "configs" / "experiments"


@dataclass(frozen=True)
class Entry:
    """One row: an experiment and what others published for it."""

    experiment: str
    about: str
    published: str = ""
    part: str = ""
    """Folder below GATESWEEP_BENCH_DATA."""


ENTRIES = {
    "reviews": Entry("language_modeling.yaml", "a tenth of IMDb's reviews, 8,000 words, one layer of 128"),
    "PTB, Zaremba small": Entry(
        "ptb_zaremba_small.yaml", "2 layers of 200, no dropout, 13 epochs", "val/ppl 119.0 and 121.4 (two runs)", "ptb"
    ),
    "PTB, small, regularised": Entry(
        "ptb_small_regularised.yaml", "2 layers of 200, tied, dropout, 20 epochs", "", "ptb"
    ),
}


def main() -> None:
    """Train what is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resume", action="store_true", help="keep the rows that are there")
    parser.add_argument("--only", choices=ENTRIES, help="one row alone")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2, help="1 where the machine is shared: rows say how many")
    asked = parser.parse_args()
    rows = Rows(RESULTS / "language_modeling.json", resume=asked.resume or asked.only is not None)
    for name, entry in ENTRIES.items():
        for seed in range(1, asked.seeds + 1):
            if asked.only not in (None, name) or (asked.resume and rows.has(name, seed)):
                continue
            overrides = [f"trainer.threads={asked.threads}"]
            overrides += [f"data.path={bench_data(entry.part)}"] if entry.part else []
            row = train(name, EXPERIMENTS / entry.experiment, seed=seed, overrides=overrides, about=entry.about)
            keys = [key for key in ("val/ppl", "test/ppl") if key in row["metrics"]]
            rows.add({**row, "overrides": [], "published": entry.published, "show": keys})
            print(name, f"seed {seed}:", {key: round(row["metrics"][key], 2) for key in keys}, f"{row['wall_s']:.0f} s")


if __name__ == "__main__":
    main()
