"""read_fsdd: the Free Spoken Digit Dataset (Jackson et al., 2018), `{digit}_{speaker}_{take}.wav` at 8 kHz.

Published are takes 0 to 49 of every digit and speaker, six speakers in 2020: 3,000 recordings; takes 0 to 4 are test.
"""

from __future__ import annotations

import re
from pathlib import Path

from ...errors import DataError
from .recordings import Recording, Recordings, settled

NAME = re.compile(r"(\d)_([A-Za-z]+)_(\d+)\.wav")
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
TAKES, PUBLISHED = 50, 3_000
OFFICIAL_TEST = range(5)


def is_fsdd(folder: Path) -> bool:
    """Whether the folder, or `recordings` in it, has files that are called so."""
    return any(NAME.fullmatch(path.name) for path in _base(folder).glob("*.wav"))


def read_fsdd(folder: str | Path, *, partial: bool = False) -> Recordings:
    """Every recording, its digit as a word.

    Args:
        folder: `recordings`, or what it lies in.
        partial: whether a digit and speaker may have other takes than the published ones, which is said then.

    Raises:
        DataError: a file that is not called so, or (unless `partial`) takes that are missing.
    """
    base = _base(Path(folder))
    rows = [_recording(path) for path in sorted(base.glob("*.wav"))]
    if not rows:
        raise DataError("holds no recordings", place=str(folder), hint="{digit}_{speaker}_{take}.wav, as published")
    count, speakers = len(rows), sorted({row.speaker for row in rows})
    if count != TAKES * len(WORDS) * len(speakers) and not partial:
        raise DataError(f"{count:,} recordings of {len(speakers)} speakers; published are {TAKES * len(WORDS)} of each",
                        place=str(base), hint="extract the archive again, or set data.partial to true")
    noted = {f"recordings are what there is; published are {PUBLISHED:,} of 6 speakers": count}
    return settled(rows, "fsdd", noted=noted if count != PUBLISHED else {})


def _base(folder: Path) -> Path:
    return folder / "recordings" if (folder / "recordings").is_dir() else folder


def _recording(path: Path) -> Recording:
    named = NAME.fullmatch(path.name)
    if named is None:
        raise DataError("is not called {digit}_{speaker}_{take}.wav", place=str(path),
                        hint="remove what is not part of the set")
    return Recording(path, WORDS[int(named[1])], named[2], int(named[3]))
