"""read_characters: the set `digits`, one recording of every digit and letter by one voice.

Whatever is made of them, train and test share the recordings: it shows that a training runs, and nothing more.
"""

from __future__ import annotations

from pathlib import Path

from ...errors import DataError
from ..dataset import Dataset
from .recordings import Recording, Recordings, settled


def read_characters(dataset: Dataset | Path, wanted: str) -> Recordings:
    """The recordings of these characters.

    Raises:
        DataError: a character that the set has not.
    """
    folder = dataset if isinstance(dataset, Path) else dataset.path
    strange = [each for each in wanted if not (folder / f"{each}.wav").is_file()]
    if strange:
        raise DataError(f"has no recording of {strange[0]!r}", place=str(folder), hint="digits and capital letters")
    rows = [Recording(folder / f"{each}.wav", each, "captcha") for each in wanted]
    return settled(rows, "digits", noted={"recordings in all, one of each character: a smoke test": len(rows)})
