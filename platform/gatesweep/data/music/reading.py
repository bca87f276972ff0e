"""Which reader a user's path needs: a published file, a folder that holds one, or scores."""

from __future__ import annotations

from pathlib import Path

from ...errors import DataError
from . import published, scores
from .rolls import Music, OutOfRange

PAPERS = ("README", "LICENSE", "LICENCE", "COPYING")
"""Files that may lie beside music, whatever their ending."""


def read_music(path: Path, *, name: str | None = None, grid: scores.Grid = "quarter",
               out_of_range: OutOfRange = "refuse") -> Music:
    """Music of a file or a folder.

    Raises:
        DataError: no music there, more than one published file, or as the readers.
    """
    files = music_files(path)
    whole = [file for file in files if file.suffix in published.ENDINGS]
    if len(whole) > 1 or (whole and len(whole) < len(files)):
        raise DataError(f"holds {', '.join(file.name for file in files[:4])}: which?", place=str(path),
                        hint="name the file itself")
    if whole:
        return published.read_published(whole[0], name=name, out_of_range=out_of_range)
    if not files:
        raise DataError("holds no music", place=str(path),
                        hint="a published set as .json or .mat, or scores as .mxl, .musicxml or .xml")
    if name is not None:
        raise DataError(f"holds scores, and '{name}' is published as one .json or .mat", place=str(path),
                        hint="leave data.name out")
    return scores.read_scores(files, grid, out_of_range)


def music_files(path: Path) -> list[Path]:
    """The files of a path that may be music, by their endings."""
    endings = (*published.ENDINGS, *scores.ENDINGS)
    found = [path] if path.is_file() else sorted(each for each in path.rglob("*") if each.is_file())
    return [each for each in found if each.suffix in endings]


def is_music(path: Path) -> bool:
    """Whether a path is a file of music, or a folder of such files and papers about them, by their names."""
    if not path.exists():
        return False
    music = set(music_files(path))
    return bool(music) and (path.is_file() or all(
        each in music or each.name.startswith(".") or each.stem.upper() in PAPERS
        for each in path.rglob("*") if each.is_file()))  # fmt: skip
