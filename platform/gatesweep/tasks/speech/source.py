"""Where recordings come from, and who is train, val and test.

    the set's own lists        Speech Commands, a split column
    a held-out speaker         test_speaker, val_speaker: all of theirs, and nobody else's
    takes                      fsdd, of all speakers that are not held out
    shares                     the rest, each text and speaker in proportion
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from gatesweep.data.audio.characters import read_characters
from gatesweep.data.audio.commands import is_commands, read_commands
from gatesweep.data.audio.fsdd import is_fsdd, read_fsdd
from gatesweep.data.audio.recordings import Recording, Recordings
from gatesweep.data.audio.transcripts import read_transcripts
from gatesweep.data.fetch import Dataset, ensure, user_folder
from gatesweep.errors import DataError
from gatesweep.tasks.speech.config import EMBEDDED, SpeechData

SPLITS = ("train", "val", "test")


def open_data(data: SpeechData, say: Callable[[str], None]) -> Dataset:
    """The set, verified, or the user's folder."""
    return ensure(data.name, say=say) if data.name in EMBEDDED else user_folder(str(data.path))  # type: ignore[arg-type]


def read(dataset: Dataset, data: SpeechData) -> Recordings:
    """Every recording of the training's own set.

    Raises:
        DataError: as the set's reader.
    """
    if data.name == "digits":
        return read_characters(dataset, data.characters)
    if data.name == "fsdd":
        return read_fsdd(dataset.path, partial=data.partial)
    if data.name == "speech_commands":
        return read_commands(dataset.path, partial=data.partial)
    return read_transcripts(dataset.path, unpaired=data.unpaired)


def read_other(folder: Path, data: SpeechData) -> Recordings:
    """Another folder, whichever layout it has: nothing of it was trained on, so its counts are its own."""
    if is_commands(folder):
        return read_commands(folder, partial=True)
    if is_fsdd(folder):
        return read_fsdd(folder, partial=True)
    return read_transcripts(folder, unpaired=data.unpaired)


def share_out(rows: Sequence[Recording], data: SpeechData, *, place: str) -> dict[str, list[int]]:
    """Split -> places of its recordings, in order.

    Raises:
        DataError: a speaker or take that is not there, or a split that stays empty.
    """
    if data.name == "digits":
        everything = list(range(len(rows)))
        return {split: everything for split in SPLITS}
    _check_speakers(rows, data, place)
    split_N = _by_rule(rows, data, place)
    found = {split: [i for i, each in enumerate(split_N) if each == split] for split in SPLITS}
    empty = [split for split, index in found.items() if not index]
    if empty:
        takes = sorted({row.take for row in rows if row.take is not None})
        there = f"takes {takes[0]} to {takes[-1]}" if data.name == "fsdd" else f"{len(rows)} recordings"
        raise DataError(f"no recording is left for {' and '.join(empty)}", place=place,
                        hint=f"there are {there}; see data.test_takes, data.val_takes and data.splits")
    found["train"] = some(rows, found["train"], data)
    return found


def some(rows: Sequence[Recording], index: Sequence[int], data: SpeechData) -> list[int]:
    """The share `fraction`, of each label as many as of any other; a smaller share is a part of any larger one."""
    if data.fraction == 1.0:
        return list(index)
    groups: dict[str, list[int]] = {}
    for i in np.random.default_rng(data.split_seed).permutation(list(index)).tolist():
        groups.setdefault(label(rows[i], data), []).append(i)
    return sorted(i for group in groups.values() for i in group[: max(1, round(data.fraction * len(group)))])


def label(row: Recording, data: SpeechData) -> str:
    """What a recording counts as."""
    return row.speaker if data.target == "speaker" else row.text


def _by_rule(rows: Sequence[Recording], data: SpeechData, place: str) -> list[str]:
    speakers = {data.test_speaker: "test", data.val_speaker: "val"}
    speakers.pop(None, None)
    shared = None if data.name == "fsdd" or any(row.split for row in rows) else _shares(rows, data)
    return [_split_of(row, data, speakers, shared[i] if shared else None) for i, row in enumerate(rows)]


def _split_of(row: Recording, data: SpeechData, speakers: dict[str | None, str], drawn: str | None) -> str:
    """Of one recording; `unused` where a held-out speaker takes the place of a side that it would have been on."""
    if row.speaker in speakers:
        return speakers[row.speaker]
    usual = row.split or drawn
    if usual is None:
        usual = "test" if row.take in data.test_takes else "val" if row.take in data.val_takes else "train"
    if usual == "test" and data.test_speaker is not None:
        return "train"
    if usual == "val" and data.val_speaker is not None:
        return "train"
    return usual


def _shares(rows: Sequence[Recording], data: SpeechData) -> list[str]:
    """Drawn once and for all; of each label the first go to test, the next to val."""
    split_N, groups = ["train"] * len(rows), dict[str, list[int]]()
    for i in np.random.default_rng(data.split_seed).permutation(len(rows)).tolist():
        groups.setdefault("" if data.target == "text" else label(rows[i], data), []).append(i)
    for group in groups.values():
        test, val = round(data.splits.test * len(group)), round(data.splits.val * len(group))
        for place, i in enumerate(group[: test + val]):
            split_N[i] = "test" if place < test else "val"
    return split_N


def _check_speakers(rows: Sequence[Recording], data: SpeechData, place: str) -> None:
    there = sorted({row.speaker for row in rows if row.speaker})
    for key in ("test_speaker", "val_speaker"):
        wanted = getattr(data, key)
        if wanted is not None and wanted not in there:
            raise DataError(f"no speaker '{wanted}'", place=f"{place}: data.{key}",
                            hint=f"there are: {', '.join(there[:12]) or 'none that the set names'}")
    if data.target == "speaker" and any(not row.speaker for row in rows):
        raise DataError("who speaks is not known of every recording", place=place,
                        hint="transcripts.csv needs the column speaker")
