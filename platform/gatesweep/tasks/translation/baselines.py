"""Translations without a model, scored as the model's are.

    most frequent target   the target that came most often in training, whatever is asked
    copy of the source     names and numbers are right
    nearest source         the target of the training source that is most like the asked one: cosine of tf-idf of words
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from gatesweep.tasks.base import Baseline
from gatesweep.tasks.translation.metrics import scores
from gatesweep.tasks.translation.prepare import Encoded

TRIVIAL = ("most frequent target", "copy of the source")


def most_frequent(train: Encoded) -> str:
    """The most frequent target; of equals the first in the alphabet."""
    counts = Counter(train.references)
    return min(counts, key=lambda line: (-counts[line], line))


def nearest(train: Encoded, sources: Sequence[str]) -> list[str]:
    """The target that belongs to the most similar source of training; the first of equals."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    weights = TfidfVectorizer(token_pattern=r"\w+", sublinear_tf=True)
    known = weights.fit_transform(train.sources)
    found = []
    for start in range(0, len(sources), 256):
        likeness = weights.transform(sources[start : start + 256]) @ known.T
        found += [train.references[int(place)] for place in likeness.toarray().argmax(axis=1)]
    return found


def baseline(train: Encoded, asked: Encoded, language: str) -> Baseline:
    """Every candidate on these pairs; the baseline is the better of the trivial ones."""
    written = {TRIVIAL[0]: [most_frequent(train)] * len(asked), TRIVIAL[1]: list(asked.sources),
               "nearest source": nearest(train, asked.sources)}  # fmt: skip
    candidates = {name: scores(lines, asked.references, language) for name, lines in written.items()}
    name = max(TRIVIAL, key=lambda each: candidates[each]["bleu_lc"])
    return Baseline(name, candidates[name], candidates)
