"""audio_quality(name or path): what is wrong with recordings, in numbers, before anybody trains on them.

    silent, clipped, broken, repeated   see `sounds`          short    under 0.1 s
    other rate                          than most of the files          stereo   more than one channel
    leakage                             recordings of one split that are sample for sample in another
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from .. import catalogue
from ..fetch import ensure
from ..own import user_data
from ..scratch import Say
from .characters import read_characters
from .commands import is_commands, read_commands
from .fsdd import OFFICIAL_TEST, is_fsdd, read_fsdd
from .recordings import Recording, Recordings
from .sounds import Sounds, open_sounds
from .transcripts import FILE, read_transcripts
from .vowels import read_vowels

SHORT_S = 0.1
EXAMPLES = 5


@dataclass(frozen=True)
class AudioReport:
    """Findings about one set of recordings."""

    name: str
    recordings: int
    speakers: int
    seconds: float
    shortest_s: float
    median_s: float
    longest_s: float
    rates: dict[str, int]
    """Hertz -> files."""

    findings: dict[str, int]
    """What is odd -> how many."""

    examples: dict[str, list[str]]
    texts: dict[str, int]
    """Each text that is said more than once, most often first, at most 50 -> how often."""

    leakage: dict[str, int]
    """Two splits -> recordings that both have."""

    noted: dict[str, int]

    def rows_of_table(self) -> list[tuple[str, str]]:
        """Label and value."""
        rates = ", ".join(f"{rate} Hz {count:,}" for rate, count in self.rates.items())
        texts = ", ".join(f"{text} {count:,}" for text, count in list(self.texts.items())[:12])
        spoken = f"{self.recordings:,} of {self.speakers:,} speaker(s), {self.seconds / 60:,.1f} minutes"
        lengths = f"shortest {self.shortest_s:.2f}, median {self.median_s:.2f}, longest {self.longest_s:.2f}"
        return [("recordings", spoken), ("seconds", lengths),
                ("rates", rates), ("said most often", texts or "nothing twice"),
                *((what, f"{count:,}" + (f": {', '.join(self.examples[what])}" if count else ""))
                  for what, count in self.findings.items()),
                *((f"leakage {splits}", f"{count:,} equal recordings") for splits, count in self.leakage.items()),
                *((what, f"{count:,}") for what, count in self.noted.items() if count)]  # fmt: skip

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self)


@dataclass(frozen=True)
class FramesReport:
    """Findings about utterances that come as frames."""

    name: str
    utterances: dict[str, int]
    """Split -> how many."""

    speakers: int
    features: int
    shortest: int
    longest: int
    repeated: int

    def rows_of_table(self) -> list[tuple[str, str]]:
        """Label and value."""
        return [("utterances", ", ".join(f"{split} {count:,}" for split, count in self.utterances.items())),
                ("speakers", f"{self.speakers:,}"), ("features a frame", f"{self.features}"),
                ("frames", f"{self.shortest} to {self.longest}"), ("repeated", f"{self.repeated:,}")]  # fmt: skip

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self)


def is_audio(name: str) -> bool:
    """Whether it is a set of recordings of the catalogue, or a folder that holds some."""
    known = catalogue.load().sets
    if name in known:
        return known[name].kind in ("recordings", "frames")
    folder = Path(name).expanduser()
    return folder.is_dir() and ((folder / FILE).is_file() or is_fsdd(folder) or is_commands(folder))


def audio_quality(name: str, *, say: Say = lambda line: None) -> AudioReport | FramesReport:
    """The report on a set of the catalogue, or on a folder.

    Raises:
        DataError: no such set, or as the readers.
    """
    if name not in catalogue.names():
        dataset = user_data(name)
        return judge(dataset.name, _of_folder(dataset.path), md5=dataset.md5)
    dataset = ensure(name, say=say)
    if catalogue.entry(name).kind == "frames":
        return _judge_frames(name, dataset.path)
    characters = "".join(sorted(Path(file).stem for file in dataset.files))
    return judge(name, read_characters(dataset, characters), md5=dataset.md5)


def judge(name: str, found: Recordings, *, md5: str) -> AudioReport:
    """The findings about recordings, each at its own rate."""
    rows = found.rows
    rate = 8000
    sounds = open_sounds(rows, rate, md5=md5)
    sound = [i for i, each in enumerate(sounds.findings) if not each.broken]
    seconds_R = np.array([sounds.findings[i].samples / rate for i in sound] or [0.0])
    rates = Counter(sounds.findings[i].rate for i in sound)
    usual = max(rates, key=lambda each: (rates[each], each), default=0)
    places = _places(rows, sounds, usual)
    texts = Counter(row.text for row in rows)
    return AudioReport(
        name=name, recordings=len(rows), speakers=len({row.speaker for row in rows}), seconds=float(seconds_R.sum()),
        shortest_s=float(seconds_R.min()), median_s=float(np.median(seconds_R)), longest_s=float(seconds_R.max()),
        rates={str(each): count for each, count in rates.most_common()},
        findings={what: len(index) for what, index in places.items()},
        examples={what: [rows[i].path.name for i in index[:EXAMPLES]] for what, index in places.items()},
        texts={text: count for text, count in texts.most_common(50) if count > 1}, leakage=_leakage(rows, sounds),
        noted={**found.account.dropped, **found.account.noted})  # fmt: skip


def _places(rows: tuple[Recording, ...], sounds: Sounds, usual: int) -> dict[str, list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    kinds = ("broken", "silent", "clipped", "short", "stereo", "other rate", "repeated")
    seen: set[str] = set()
    for i, each in enumerate(sounds.findings):
        if each.broken:
            found["broken"].append(i)
            continue
        is_odd = {"silent": each.is_silent, "clipped": each.is_clipped, "short": each.samples < SHORT_S * sounds.rate,
                  "stereo": each.channels > 1, "other rate": each.rate != usual, "repeated": each.content in seen}
        seen.add(each.content)
        for what, is_so in is_odd.items():
            if is_so:
                found[what].append(i)
    return {what: found[what] for what in kinds}


def _leakage(rows: tuple[Recording, ...], sounds: Sounds) -> dict[str, int]:
    contents: dict[str, set[str]] = defaultdict(set)
    for row, each in zip(rows, sounds.findings, strict=True):
        split = row.split or (("test" if row.take in OFFICIAL_TEST else "train") if row.take is not None else "")
        if split and not each.broken:
            contents[split].add(each.content)
    return {f"{a}-{b}": len(contents[a] & contents[b]) for a, b in combinations(sorted(contents), 2)}


def _of_folder(folder: Path) -> Recordings:
    if is_commands(folder):
        return read_commands(folder, partial=True)
    if is_fsdd(folder):
        return read_fsdd(folder, partial=True)
    return read_transcripts(folder, unpaired="drop")


def _judge_frames(name: str, folder: Path) -> FramesReport:
    parts = read_vowels(folder)
    frames = [x_TD for part in parts.values() for x_TD in part.frames]
    distinct = {x_TD.tobytes() for x_TD in frames}
    return FramesReport(name, {split: len(part) for split, part in parts.items()},
                        len({label for part in parts.values() for label in part.labels}), frames[0].shape[1],
                        min(map(len, frames)), max(map(len, frames)), len(frames) - len(distinct))  # fmt: skip
