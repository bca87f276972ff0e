"""Frame NLL of the committed music experiments, one row each, kept as soon as its training is over.

    GATESWEEP_BENCH_DATA=... python benchmarks/tasks/music.py [--resume] [--only NAME] [--seeds N] [--threads N]

JSB needs GATESWEEP_BENCH_DATA/jsb: one .json or .mat in the published layout, of sixteenths; without a test split the
chosen checkpoint is scored on val. The chorales are embedded and need nothing.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from rows import RESULTS, ROOT, Rows, bench_data, train

EXPERIMENTS = ROOT / "configs" / "experiments"
SCORES = ("loss", "piece_loss", "accuracy")


@dataclass(frozen=True)
class Entry:
    """One row: an experiment and what others published for it."""

    experiment: str
    about: str
    published: str = ""
    part: str = ""
    """Folder below GATESWEEP_BENCH_DATA."""

    overrides: tuple[str, ...] = ()


ENTRIES = {
    "JSB chorales": Entry(
        "jsb.yaml", "LSTM, notes independent given the past, transposed in training; nats a frame of quarters",
        "test 8.38 (LSTM, Greff et al. 2017), 8.45 (LSTM, Bai et al. 2018)", "jsb",
    ),
    "JSB chorales, not transposed": Entry(
        "jsb.yaml", "the same in the keys of the data alone", "", "jsb", ("data.transpose=0",)
    ),
    "JSB chorales, notes in turn": Entry(
        "jsb.yaml", "each note given the lower ones of its frame (MADE)", "", "jsb", ("model.head=autoregressive",)
    ),
    "Chorales": Entry("music.yaml", "embedded scores, shared out by tunes; notes in turn"),
}  # fmt: skip


def main() -> None:
    """Train what is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resume", action="store_true", help="keep the rows that are there")
    parser.add_argument("--only", choices=ENTRIES, help="one row alone")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    rows = Rows(RESULTS / "music.json", resume=asked.resume or asked.only is not None)
    for name, entry in ENTRIES.items():
        for seed in range(1, asked.seeds + 1):
            if asked.only not in (None, name) or (asked.resume and rows.has(name, seed)):
                continue
            overrides = [*entry.overrides, f"trainer.threads={asked.threads}"]
            overrides += [f"data.path={bench_data(entry.part)}"] if entry.part else []
            row = train(name, EXPERIMENTS / entry.experiment, seed=seed, overrides=overrides, about=entry.about)
            wanted = [f"{split}/{score}" for split in ("val", "test") for score in SCORES]
            keys = [key for key in wanted if key in row["metrics"]]
            rows.add({**row, "overrides": [*entry.overrides], "published": entry.published, "show": keys})
            print(name, f"seed {seed}:", {key: round(row["metrics"][key], 3) for key in keys}, f"{row['wall_s']:.0f} s")


if __name__ == "__main__":
    main()
