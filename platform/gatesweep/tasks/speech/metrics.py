"""Errors of texts, by jiwer, over a whole split: edits (replaced, put in, left out) / length of the reference.

    wer  of words      cer  of characters, spaces among them      per  of phones: as wer, where units are phones
    accuracy           share of the utterances that are right as a whole
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gatesweep.errors import UserError

TEXT_METRICS = ("accuracy", "wer", "cer", "per")


def scores(hypotheses: Sequence[str], references: Sequence[str], *, phones: bool = False) -> dict[str, float]:
    """Every measure that these texts have, as shares: 0.02 is 2%. No reference is empty."""
    library = _jiwer()
    right = sum(one == other for one, other in zip(hypotheses, references, strict=True))
    by_word = float(library.wer(list(references), list(hypotheses)))
    found = {"accuracy": right / len(references)}
    if phones:
        return found | {"per": by_word}
    return found | {"wer": by_word, "cer": float(library.cer(list(references), list(hypotheses)))}


def edits(hypotheses: Sequence[str], references: Sequence[str]) -> dict[str, int]:
    """How many words were replaced, put in and left out."""
    found = _jiwer().process_words(list(references), list(hypotheses))
    return {"replaced": found.substitutions, "put in": found.insertions, "left out": found.deletions}


def _jiwer() -> Any:
    try:
        import jiwer
    except ImportError as error:
        raise UserError("errors of texts are jiwer's, which is not installed",
                        hint="pip install 'jiwer>=4.0,<5'") from error
    return jiwer
