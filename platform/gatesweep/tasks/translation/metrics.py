"""BLEU and chrF by sacrebleu, on running text.

    bleu      with capitals          bleu_lc   without          chrf      characters of both, n-grams up to 6

Chinese, Japanese and Thai are compared character by character (sacrebleu's tokenizer `char`): their words are not
told apart by spaces, and a word splitter would be one more dependency that the score hangs on. The signature says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gatesweep.errors import UserError

WITHOUT_SPACES = ("ja", "zh", "th", "lo", "km", "my")


def scores(hypotheses: Sequence[str], references: Sequence[str], language: str) -> dict[str, float]:
    """`bleu`, `bleu_lc` and `chrf`, each out of 100."""
    return {name: float(metric.corpus_score(list(hypotheses), [list(references)]).score)
            for name, metric in _metrics(language).items()}  # fmt: skip


def signatures(hypotheses: Sequence[str], references: Sequence[str], language: str) -> dict[str, str]:
    """How each was computed, as sacrebleu writes it: what a number has to come with."""
    found = {}
    for name, metric in _metrics(language).items():
        metric.corpus_score(list(hypotheses), [list(references)])
        found[name] = str(metric.get_signature())
    return found


def corpus_bleu(hypotheses: Sequence[str], references: Sequence[str], language: str) -> float:
    """`bleu_lc` alone."""
    metric = _sacrebleu().BLEU(tokenize=tokenizer(language), lowercase=True)
    return float(metric.corpus_score(list(hypotheses), [list(references)]).score)


def tokenizer(language: str) -> str:
    """sacrebleu's name for how text of that language is cut."""
    return "char" if language.lower().partition("-")[0] in WITHOUT_SPACES else "13a"


def _metrics(language: str) -> dict[str, Any]:
    library, cut = _sacrebleu(), tokenizer(language)
    return {"bleu": library.BLEU(tokenize=cut), "bleu_lc": library.BLEU(tokenize=cut, lowercase=True),
            "chrf": library.CHRF()}  # fmt: skip


def _sacrebleu() -> Any:
    try:
        from sacrebleu import metrics
    except ImportError as error:
        raise UserError("translation is scored by sacrebleu, which is not installed",
                        hint="pip install 'sacrebleu>=2.6,<3'") from error
    return metrics
