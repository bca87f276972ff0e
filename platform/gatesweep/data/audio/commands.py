"""read_commands: Google's Speech Commands (Warden 2018), `<word>/<speaker>_nohash_<n>.wav` at 16 kHz, split by lists.

`validation_list.txt` and `testing_list.txt` name the files of val and test; all others are train. No speaker is on two
sides. Version 1 has 64,721 recordings of 30 words, version 2 has 105,829 of 35. `_background_noise_` is no word.
"""

from __future__ import annotations

import re
from pathlib import Path

from ...errors import DataError
from ..text.lines import read_lines
from .recordings import Recording, Recordings, settled

NAME = re.compile(r"([0-9a-f]+)_nohash_(\d+)\.wav")
LISTS = {"validation_list.txt": "val", "testing_list.txt": "test"}
PUBLISHED = {30: 64_721, 35: 105_829}
NOISE = "_background_noise_"


def is_commands(folder: Path) -> bool:
    """Whether the folder has the lists and folders of words."""
    return any((folder / name).is_file() for name in LISTS)


def read_commands(folder: str | Path, *, partial: bool = False) -> Recordings:
    """Every recording with its split.

    Args:
        partial: whether there may be other counts than the published ones, which is said then.

    Raises:
        DataError: no such layout, a list that names a file that is not there, a file that is not called so, or (unless
            `partial`) other counts.
    """
    base = Path(folder)
    split_of = _splits(base)
    files = sorted(path for path in base.glob("*/*.wav") if path.parent.name != NOISE)
    if not files:
        raise DataError("holds no recordings", place=str(folder), hint="<word>/<speaker>_nohash_<n>.wav, as published")
    rows = [_recording(path, split_of.pop(f"{path.parent.name}/{path.name}", "train")) for path in files]
    if split_of and not partial:
        raise DataError(f"the lists name {len(split_of):,} files that are not there, first {next(iter(split_of))!r}",
                        place=str(base), hint="extract the archive again, or set data.partial to true")
    words = len({row.text for row in rows})
    if len(rows) != PUBLISHED.get(words) and not partial:
        raise DataError(f"{len(rows):,} recordings of {words} words; published are 64,721 of 30, or 105,829 of 35",
                        place=str(base), hint="extract the archive again, or set data.partial to true")
    noted = {"files that the lists name are not there": len(split_of)}
    if len(rows) != PUBLISHED.get(words):
        noted["recordings are what there is; published are 64,721 or 105,829"] = len(rows)
    return settled(rows, "speech_commands", noted=noted)


def _splits(base: Path) -> dict[str, str]:
    """`word/file.wav` -> val or test."""
    found: dict[str, str] = {}
    for name, split in LISTS.items():
        if not (base / name).is_file():
            raise DataError(f"has no {name}", place=str(base), hint="it says which recordings are held out")
        found |= {line.strip(): split for line in read_lines(base / name) if line.strip()}
    return found


def _recording(path: Path, split: str) -> Recording:
    named = NAME.fullmatch(path.name)
    if named is None:
        raise DataError("is not called <speaker>_nohash_<n>.wav", place=str(path),
                        hint="remove what is not part of the set")
    return Recording(path, path.parent.name, named[1], int(named[2]), split)
