"""read_vowels: Japanese Vowels (Kudo, Toyama & Shimbo 1999; UCI), 12 LPC cepstrum coefficients a frame, 9 speakers.

`*_TRAIN.ts` (270 utterances) and `*_TEST.ts` (370) in the layout of timeseriesclassification.com: after the head lines,
which start with # or @, a line is one utterance; its dimensions are separated by colons, its frames by commas, and the
label comes last. Dimensions of one line have one length; lines need not.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError
from ..text.lines import read_lines

PUBLISHED = {"train": 270, "test": 370}


@dataclass(frozen=True)
class Frames:
    """Utterances that come as frames, without their sound."""

    frames: tuple[NDArray[np.float32], ...]
    """`x_TD` of each."""

    labels: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.frames)


def read_vowels(folder: Path, *, strict: bool = True) -> dict[str, Frames]:
    """`train` and `test`, where there are files of them.

    Args:
        strict: the published counts must hold.

    Raises:
        DataError: no such files, a line that is not of this form, a value that is no number, or other counts.
    """
    found = {split: list(folder.glob(f"*_{split.upper()}.ts")) for split in PUBLISHED}
    if not any(found.values()) or max(map(len, found.values())) > 1:
        raise DataError("holds no pair of files", place=str(folder), hint="one *_TRAIN.ts and one *_TEST.ts")
    parts = {split: read_ts(files[0]) for split, files in found.items() if files}
    for split, part in parts.items():
        if strict and len(part) != PUBLISHED[split]:
            raise DataError(f"{len(part):,} utterances in {split}, published are {PUBLISHED[split]}", place=str(folder))
    return parts


def read_ts(file: Path) -> Frames:
    """All lines of one file.

    Raises:
        DataError: as `read_vowels`.
    """
    frames, labels = [], []
    for number, line in enumerate(read_lines(file), 1):
        if not line.strip() or line.lstrip().startswith(("#", "@")):
            continue
        *dimensions, label = line.strip().split(":")
        frames.append(_frames(dimensions, f"{file}:{number}"))
        labels.append(label.strip())
    if not frames:
        raise DataError("holds no utterance", place=str(file))
    widths = {x_TD.shape[1] for x_TD in frames}
    if len(widths) > 1:
        raise DataError(f"utterances have {' and '.join(map(str, sorted(widths)))} dimensions", place=str(file))
    return Frames(tuple(frames), tuple(labels))


def _frames(dimensions: list[str], place: str) -> NDArray[np.float32]:
    try:
        rows = [np.array(each.split(","), dtype=np.float32) for each in dimensions]
    except ValueError as error:
        raise DataError(f"is no utterance: {error}", place=place, hint="numbers, with commas between them") from error
    if not rows or len({len(row) for row in rows}) > 1:
        raise DataError(f"has dimensions of {', '.join(str(len(row)) for row in rows) or 'no'} frames", place=place)
    x_TD = np.stack(rows, axis=1)
    if not np.isfinite(x_TD).all():
        raise DataError("has a frame without a number", place=place)
    return x_TD
