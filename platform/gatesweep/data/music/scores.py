"""Scores on a grid: frame t holds the notes that sound at the time t times the step.

read_chorales: the set `chorales`, the four singing voices of every score that has them.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Literal

from ..dataset import Dataset
from .musicxml import Part, Score, read_score
from .rolls import Account, Music, OutOfRange, Piece, note_down, piece_of, settled

Grid = Literal["quarter", "eighth", "sixteenth"]
STEP: dict[Grid, Fraction] = {"quarter": Fraction(1), "eighth": Fraction(1, 2), "sixteenth": Fraction(1, 4)}
VOICES = ("soprano", "alto", "tenor", "bass")
ENDINGS = (".mxl", ".musicxml", ".xml")


def read_chorales(dataset: Dataset, grid: Grid) -> Music:
    """The set `chorales`: of scores with instruments the voices alone; one that lacks a voice, or has one twice, is
    dropped and counted.

    Raises:
        DataError: as `read_score`.
    """
    account, pieces = Account("chorales", "pieces"), []
    for file in sorted(dataset.files):
        score = read_score(dataset.path / file)
        voices = four_voices(score)
        if voices is None:
            account.read += 1
            rule = "not of a soprano, an alto, a tenor and a bass"
            account.dropped[rule] = account.dropped.get(rule, 0) + 1
            continue
        note_down(account, "scores of which the instruments are left out", int(len(score.parts) > len(VOICES)))
        pieces.append(on_grid(Path(file).stem, score, voices, grid, account, "refuse"))
    return Music({"all": settled("all", pieces, account)}, {"all": account})


def read_scores(files: Sequence[Path], grid: Grid, out_of_range: OutOfRange = "refuse") -> Music:
    """Any scores, with all their parts.

    Raises:
        DataError: as `read_score`; a note that no piano has, where that is refused.
    """
    account = Account("scores", "pieces")
    scores = [(file, read_score(file)) for file in files]
    pieces = [on_grid(file.stem, score, score.parts, grid, account, out_of_range) for file, score in scores]
    return Music({"all": settled("all", pieces, account)}, {"all": account})


def four_voices(score: Score) -> tuple[Part, ...] | None:
    """The parts named after the voices; None where they are not one of each."""
    found = [part for voice in VOICES for part in score.parts if part.name.lower().startswith(voice)]
    return tuple(found) if [_voice(part) for part in found] == list(VOICES) else None


def on_grid(name: str, score: Score, parts: Sequence[Part], grid: Grid, account: Account,
            out_of_range: OutOfRange) -> Piece:
    """A score's frames; notes that begin and end between two steps are never heard, and counted.

    Raises:
        DataError: see `piece_of`.
    """
    step = STEP[grid]
    frames: list[set[int]] = [set() for _ in range(-(-score.length // step))]
    for note in (each for part in parts for each in part.notes):
        first, last = -(-note.start // step), -(-note.stop // step)
        for place in range(first, last):
            frames[place].add(note.midi)
        note_down(account, f"notes between two {grid} steps, not heard", int(first == last and note.stop > note.start))
    for what, count in score.left_out.items():
        note_down(account, f"{what} left out", count)
    return piece_of(name, frames, account, out_of_range)


def _voice(part: Part) -> str:
    return next((voice for voice in VOICES if part.name.lower().startswith(voice)), "")
