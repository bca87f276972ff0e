"""From recordings to utterances of train, val and test: opened, judged, shared out. Kept for the process.

Letters: R recordings, N samples, T frames, D features.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from gatesweep.config.digest import digest, seed_of
from gatesweep.data.audio.recordings import Recording, Recordings
from gatesweep.data.audio.sounds import Finding, Sounds, open_sounds
from gatesweep.data.audio.vowels import Frames
from gatesweep.errors import DataError
from gatesweep.tasks.speech.config import SpeechData
from gatesweep.tasks.speech.features import Features, FeatureShelf, Frontend, Scaling, with_deltas
from gatesweep.tasks.speech.source import SPLITS, share_out, some
from gatesweep.tasks.speech.speakers import SpeakerScalings, of_speakers
from gatesweep.tasks.speech.strings import Utterance, as_they_are, draw

KEPT = 3
_cache: OrderedDict[str, Corpus] = OrderedDict()


@dataclass(frozen=True)
class Corpus:
    """Recordings ready to be listened to. Shared between trainings of a process: nobody writes to it."""

    data: SpeechData
    rows: tuple[Recording, ...]
    sounds: Sounds | None
    """None where the set comes as frames."""

    frames: Sequence[Features] | FeatureShelf
    """Features of each recording as it is, before cmvn."""

    index: Mapping[str, Sequence[int]]
    """Split -> its recordings."""

    scaling: Scaling
    """Over all training frames."""

    notes: tuple[str, ...]
    place: str

    of_speaker: SpeakerScalings | None = None
    """Over a speaker's frames, where `cmvn: speaker` asks for it."""

    @property
    def size(self) -> int:
        """D."""
        return len(self.scaling.mean_D)

    def scaled(self, x_TD: Features, speaker: str, speed: float = 1.0) -> Features:
        """Frames of an utterance after cmvn.

        Args:
            speed: at which the speaker was played.
        """
        match self.data.features.cmvn:
            case "utterance":
                return Scaling.of(x_TD)(x_TD)
            case "speaker":
                assert self.of_speaker is not None
                return self.of_speaker(speaker, speed)(x_TD)
            case _:
                return self.scaling(x_TD)

    def utterances(self, split: str, *, epoch: int | None = None, seed: int = 0) -> list[Utterance]:
        """Of a split; `all`: of every one. Those of train are a function of (seed, epoch) where an epoch is given.

        Raises:
            DataError: the split has none.
        """
        if split == "all":
            if self.data.strings is None:
                return as_they_are(self.rows, sorted({i for index in self.index.values() for i in index}))
            return [each for name, index in self.index.items() if index for each in self.utterances(name)]
        if not self.index.get(split):
            raise DataError(f"'{split}' has no recording", place=self.place)
        strings = self.data.strings
        if strings is None:
            return as_they_are(self.rows, self.index[split])
        drawn = (seed, epoch) if epoch is not None else (seed_of(self.data.split_seed, split), 0)
        return draw(self.rows, self.index[split], strings, getattr(strings, split), np.random.default_rng(drawn))


def prepare(found: Recordings, data: SpeechData, *, md5: str, place: str, trained: Corpus | None = None) -> Corpus:
    """Open, judge and share out.

    Args:
        md5: of the set's bytes.
        trained: the corpus of a training, where this is another one that it is to be scored on: then every recording
            is in every split, or where the set itself says, and frames are scaled as there.

    Raises:
        DataError: broken recordings (unless they are to be dropped), a split that stays empty.
    """
    sounds = open_sounds(found.rows, data.rate, md5=md5)
    frontend = Frontend(data.features, data.rate)
    kept, notes = _judged(found.rows, sounds.findings, data, frontend, place)
    rows = found.rows
    chosen = [rows[i] for i in kept]
    if trained is None:
        shared = share_out(chosen, data, place=place)
    else:
        shared = _whole(chosen)
    index = {split: [kept[i] for i in each] for split, each in shared.items()}
    if data.name != "digits" and (trained is None or any(row.split for row in rows)):
        index, more = _without_copies(index, sounds.findings)
        notes += more
    if trained is None and not index["train"]:
        raise DataError("no recording is left in train", place=place, hint="; ".join(notes) or "other splits")
    shelf = FeatureShelf(sounds, frontend)
    scaling = trained.scaling if trained is not None else _scaling(data, shelf, index["train"], frontend.size)
    return Corpus(data, rows, sounds, shelf, index, scaling, (*found.account.lines(), *notes), place,
                  _speakers(data, rows, shelf, index, sounds, frontend))  # fmt: skip


def prepare_frames(parts: Mapping[str, Frames], data: SpeechData, *, place: str,
                   trained: Corpus | None = None) -> Corpus:
    """Utterances that come as frames; val is drawn from train, of each speaker as many as of any other."""
    frames = [x_TD for part in parts.values() for x_TD in part.frames]
    rows = tuple(Recording(_NOWHERE, "a e", label) for part in parts.values() for label in part.labels)
    if data.features.deltas:
        frames = [with_deltas(x_TD) for x_TD in frames]
    places = np.cumsum([0, *(len(part) for part in parts.values())]).tolist()
    index = {split: list(range(*places[n : n + 2])) for n, split in enumerate(parts)}
    if trained is None:
        index = _with_val(index, rows, data)
        scaling = _scaling(data, frames, index["train"], frames[0].shape[1])
    else:
        scaling = trained.scaling
    if scaling.mean_D.shape[0] != frames[0].shape[1]:
        raise DataError(f"frames have {frames[0].shape[1]} numbers, and the run's have {len(scaling.mean_D)}",
                        place=place)
    return Corpus(data, rows, None, frames, index, scaling, (), place, _speakers(data, rows, frames, index))


_NOWHERE = Path()


def _with_val(index: Mapping[str, list[int]], rows: Sequence[Recording], data: SpeechData) -> dict[str, list[int]]:
    groups: dict[str, list[int]] = {}
    for i in np.random.default_rng(data.split_seed).permutation(index["train"]).tolist():
        groups.setdefault(rows[i].speaker, []).append(i)
    val = {i for group in groups.values() for i in group[: max(1, round(data.splits.val * len(group)))]}
    train = some(rows, [i for i in index["train"] if i not in val], data)
    return {"train": train, "val": sorted(val), "test": list(index["test"])}


def _scaling(data: SpeechData, frames: Sequence[Features] | FeatureShelf, train: Sequence[int], size: int) -> Scaling:
    if data.features.cmvn != "global":
        return Scaling.none(size)
    return Scaling.of(np.concatenate([frames[i] for i in sorted(set(train))]))


def _speakers(data: SpeechData, rows: Sequence[Recording], frames: Sequence[Features] | FeatureShelf,
              index: Mapping[str, Sequence[int]], *sound: Any) -> SpeakerScalings | None:
    if data.features.cmvn != "speaker":
        return None
    return SpeakerScalings(of_speakers(rows, index), frames, *sound)


def _judged(rows: Sequence[Recording], findings: Sequence[Finding], data: SpeechData, frontend: Frontend,
            place: str) -> tuple[list[int], list[str]]:
    """Which recordings stay, and what is said of all of them."""
    broken = [i for i, each in enumerate(findings) if each.broken]
    if broken and data.broken == "refuse":
        raise DataError(f"{findings[broken[0]].broken} ({len(broken):,} such files)", place=str(rows[broken[0]].path),
                        hint="mend or remove them, or set data.broken to drop")
    short = [i for i, each in enumerate(findings) if not each.broken and not frontend.frames(each.samples)]
    silent = [i for i, each in enumerate(findings) if each.is_silent and i not in short]
    gone = {*broken, *short, *silent}
    kept = [i for i in range(len(rows)) if i not in gone]
    if not kept:
        raise DataError("no recording can be used", place=place, hint=f"of {len(rows):,}, {len(silent):,} are silent")
    told = {"are broken and left out": len(broken), "are shorter than a window and left out": len(short),
            "are silent and left out": len(silent),
            "are clipped, and stay": sum(findings[i].is_clipped for i in kept),
            "have several channels: their mean is taken": sum(findings[i].channels > 1 for i in kept)}  # fmt: skip
    for rate, count in Counter(findings[i].rate for i in kept).items():
        if rate != data.rate:
            told[f"were recorded at {rate:,} Hz and are converted to {data.rate:,} Hz"] = count
    return kept, [f"{count:,} recordings {what}" for what, count in told.items() if count]


def _without_copies(index: Mapping[str, Sequence[int]],
                    findings: Sequence[Finding]) -> tuple[dict[str, list[int]], list[str]]:
    """A recording that is sample for sample another one leaves; of two splits the earlier gives it up."""
    left, seen, gone = {split: list(each) for split, each in index.items()}, set[str](), 0
    for split in ("test", "val", "train"):
        stay = []
        for i in left[split]:
            if findings[i].content not in seen:
                stay.append(i)
            seen.add(findings[i].content)
        gone += len(left[split]) - len(stay)
        left[split] = stay
    return left, [f"{gone:,} recordings repeat another one sample for sample and are left out"] if gone else []


def _whole(rows: Sequence[Recording]) -> dict[str, list[int]]:
    """Where the rows say their split, there; else each in every one."""
    if any(row.split for row in rows):
        return {split: [i for i, row in enumerate(rows) if row.split == split] for split in SPLITS}
    return {split: list(range(len(rows))) for split in SPLITS}


def kept(data: SpeechData, key: str, load: Callable[[], Corpus]) -> Corpus:
    """What this process has prepared for the same recordings, or what `load` makes now."""
    of_prepared = data.model_dump(mode="json", exclude={"augment", "noise_snr_db"})
    key = digest([of_prepared, key])
    if key not in _cache:
        _cache[key] = load()
        while len(_cache) > KEPT:
            _cache.popitem(last=False)
    _cache.move_to_end(key)
    return replace(_cache[key], data=data)
