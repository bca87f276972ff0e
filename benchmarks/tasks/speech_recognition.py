"""Errors of the committed speech experiments, one row each, kept as soon as its training is over.

    GATESWEEP_BENCH_DATA=... python benchmarks/tasks/speech_recognition.py [--resume] [--only NAME] [--seeds N]

FSDD needs GATESWEEP_BENCH_DATA/fsdd/recordings, or a part of it: the test takes are those of the configuration. Each of
its speakers is held out once, with and without augmentation; once a further speaker is val.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from rows import RESULTS, ROOT, Rows, bench_data, train

EXPERIMENTS = ROOT / "configs" / "experiments"
SCORES = ("accuracy", "wer", "cer", "beam_wer", "beam_cer")
SPEAKERS = ("george", "jackson", "lucas", "nicolas", "yweweler")
PLAIN = ("data.augment={}",)
NOISES_DB = (20, 10, 5, 0)


@dataclass(frozen=True)
class Entry:
    """One row: an experiment, what is changed in it, and what others published."""

    experiment: str
    about: str
    overrides: Sequence[str] = ()
    published: str = ""
    part: str = ""
    """Folder below GATESWEEP_BENCH_DATA."""


def entries() -> dict[str, Entry]:
    """Every row by its name."""
    found = {
        "digits, strings": Entry("speech_recognition.yaml", "a smoke test: all splits share one recording a digit"),
        "vowels, speakers": Entry("vowels.yaml", "9 speakers, 270 / 370 utterances"),
        "FSDD, takes": Entry("fsdd.yaml", "one digit; takes 5-9 held out", part="fsdd"),
        "FSDD, takes, no augmentation": Entry("fsdd.yaml", "the same without", PLAIN, part="fsdd"),
        "FSDD strings, takes": Entry("fsdd_strings.yaml", "1 to 7 digits, CTC; takes 5-9 held out", part="fsdd"),
    }  # fmt: skip
    for speaker in SPEAKERS:
        held = f"data.test_speaker={speaker}"
        found[f"FSDD, without {speaker}"] = Entry(
            "fsdd.yaml", f"one digit; {speaker} held out, trained on the four others", (held,), part="fsdd")
        found[f"FSDD, without {speaker}, no augmentation"] = Entry(
            "fsdd.yaml", "the same without", (held, *PLAIN), part="fsdd")
    judged = (f"data.test_speaker={SPEAKERS[1]}", f"data.val_speaker={SPEAKERS[0]}")
    for name, more in (("", ()), (", no augmentation", PLAIN)):
        found[f"FSDD, a speaker for val{name}"] = Entry(
            "fsdd.yaml", f"{SPEAKERS[1]} held out, {SPEAKERS[0]} is val", (*judged, *more), part="fsdd")
    held = f"data.test_speaker={SPEAKERS[1]}"
    found["FSDD strings, speaker"] = Entry("fsdd_strings.yaml", f"{SPEAKERS[1]} held out", (held,), part="fsdd")
    for snr_db in NOISES_DB:
        found[f"FSDD strings, takes, {snr_db} dB"] = Entry(
            "fsdd_strings.yaml", "val and test under white noise", (f"data.noise_snr_db={snr_db}",), part="fsdd")
    return found


def main() -> None:
    """Train what is not there yet."""
    known = entries()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resume", action="store_true", help="keep the rows that are there")
    parser.add_argument("--only", choices=known, help="one row alone")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    rows = Rows(RESULTS / "speech_recognition.json", resume=asked.resume or asked.only is not None)
    for name, entry in known.items():
        for seed in range(1, asked.seeds + 1):
            if asked.only not in (None, name) or (asked.resume and rows.has(name, seed)):
                continue
            place = [f"data.path={bench_data(entry.part)}"] if entry.part else []
            overrides = [*place, *entry.overrides, f"trainer.threads={asked.threads}"]
            row = train(name, EXPERIMENTS / entry.experiment, seed=seed, overrides=overrides, about=entry.about)
            wanted = [f"{split}/{score}" for split in ("val", "test") for score in SCORES]
            keys = [key for key in wanted if key in row["metrics"]]
            rows.add({**row, "overrides": [*entry.overrides], "published": entry.published, "show": keys})
            print(name, f"seed {seed}:", {key: round(row["metrics"][key], 4) for key in keys}, f"{row['wall_s']:.0f} s")


if __name__ == "__main__":
    main()
