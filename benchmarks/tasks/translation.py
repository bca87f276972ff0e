"""BLEU of the committed translation experiments, one row each, kept as soon as its training is over.

    GATESWEEP_BENCH_DATA=... python benchmarks/tasks/translation.py [--resume] [--only NAME] [--seeds N]

Multi30k needs GATESWEEP_BENCH_DATA/multi30k: {train,val}.{de,en}, .gz or not; without test files the chosen checkpoint
is scored on val. The verses are embedded and need nothing.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from rows import RESULTS, ROOT, Rows, bench_data, train

EXPERIMENTS = ROOT / "configs" / "experiments"
SCORES = ("bleu_lc", "beam_bleu_lc", "bleu", "beam_bleu", "beam_chrf")


@dataclass(frozen=True)
class Entry:
    """One row: an experiment and what others published for it."""

    experiment: str
    about: str
    published: str = ""
    part: str = ""
    """Folder below GATESWEEP_BENCH_DATA."""


ENTRIES = {
    "verses, English to Japanese": Entry(
        "translation.yaml", "trained on verses of up to 40 symbols; BLEU over characters (tok:char), beam 3"
    ),
    "Multi30k, German to English": Entry(
        "multi30k_de_en.yaml", "BiLSTM with attention; BLEU 13a with and without capitals, beam 5",
        "33.5 to 38.5 greedy (community, BiLSTM with attention)", "multi30k",
    ),
}  # fmt: skip


def main() -> None:
    """Train what is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resume", action="store_true", help="keep the rows that are there")
    parser.add_argument("--only", choices=ENTRIES, help="one row alone")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2, help="1 where the machine is shared: rows say how many")
    asked = parser.parse_args()
    rows = Rows(RESULTS / "translation.json", resume=asked.resume or asked.only is not None)
    for name, entry in ENTRIES.items():
        for seed in range(1, asked.seeds + 1):
            if asked.only not in (None, name) or (asked.resume and rows.has(name, seed)):
                continue
            overrides = [f"trainer.threads={asked.threads}"]
            overrides += [f"data.path={bench_data(entry.part)}"] if entry.part else []
            row = train(name, EXPERIMENTS / entry.experiment, seed=seed, overrides=overrides, about=entry.about)
            wanted = [f"{split}/{score}" for split in ("val", "test") for score in SCORES]
            keys = [key for key in wanted if key in row["metrics"]]
            rows.add({**row, "overrides": [], "published": entry.published, "show": keys})
            print(name, f"seed {seed}:", {key: round(row["metrics"][key], 2) for key in keys}, f"{row['wall_s']:.0f} s")


if __name__ == "__main__":
    main()
