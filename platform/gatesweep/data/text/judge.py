"""What is wrong with a list of texts, in numbers. The rules:

    exact duplicates   the same characters as an earlier text
    duplicates         the same key as an earlier text, see `normal`; among them the exact ones
    near duplicates    of another key, but like an earlier text, see `near`
    overlong           more words than the third quartile and 3 interquartile ranges (Tukey's outer fence)
    wrong script       more than half of the letters are in a script that is not the set's, see `scripts`
    growth             distinct words after each tenth of the texts
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from .near import near_duplicates, units_of
from .normal import text_key
from .scripts import wrong_script

FENCE = 3


@dataclass(frozen=True)
class TextsQuality:
    """Findings about one list of texts; places count from 0."""

    name: str
    texts: int
    empty: int
    """Texts without a letter or digit."""

    exact_duplicates: int
    duplicates: int
    near_duplicates: int
    near_examples: list[tuple[int, int]]
    overlong: int
    overlong_from: int
    """Words from which on a text is overlong."""

    median_words: float
    longest_words: int
    wrong_script: int
    wrong_script_places: list[int]
    scripts: dict[str, float]
    words: int
    vocabulary: int
    once: int
    """Words that occur a single time."""

    growth: list[tuple[int, int]]
    """(words so far, distinct words so far)."""

    dropped: dict[str, int] = field(default_factory=dict)
    """What the reader's rules left out before."""

    noted: dict[str, int] = field(default_factory=dict)

    def rows_of_table(self) -> list[tuple[str, str]]:
        """Label and value."""
        scripts = ", ".join(f"{name.lower()} {share:.1%}" for name, share in list(self.scripts.items())[:4])
        growth = ", ".join(f"{distinct:,}" for _, distinct in self.growth[1::2])
        return [(f"{self.name}: texts", f"{self.texts:,}, {self.empty:,} empty"),
                ("duplicates", f"{self.duplicates:,} ({self.exact_duplicates:,} to the letter), near "
                 f"{self.near_duplicates:,}"),
                ("words", f"{self.words:,}; median {self.median_words:g} a text, longest {self.longest_words:,}, "
                 f"overlong {self.overlong:,} (from {self.overlong_from:,})"),
                ("script", f"{scripts}; wrong in {self.wrong_script:,} text(s)"),
                ("vocabulary", f"{self.vocabulary:,}, {self.once:,} of them once; by fifths of the texts {growth}"),
                *((f"dropped: {rule}", f"{count:,}") for rule, count in self.dropped.items() if count),
                *((what, f"{count:,}") for what, count in self.noted.items() if count)]


def judge_texts(name: str, texts: Sequence[str], *, scripts: Sequence[str] = (), dropped: dict[str, int] | None = None,
                noted: dict[str, int] | None = None) -> TextsQuality:
    """The findings about `texts`, at least one; `scripts` are those that belong there, by default the set's own."""
    keys = [text_key(text) for text in texts]
    units = [units_of(key) for key in keys]
    lengths_N = np.array([len(each) for each in units])
    filled = [key for key in keys if key]
    near = near_duplicates(keys)
    wrong, shares = wrong_script(texts, scripts)
    limit = _overlong_from(lengths_N[lengths_N > 0])
    counts, growth = _vocabulary(units)
    return TextsQuality(
        name=name, texts=len(texts), empty=len(keys) - len(filled),
        exact_duplicates=len(filled) - len({text for text, key in zip(texts, keys, strict=True) if key}),
        duplicates=len(filled) - len(set(filled)), near_duplicates=len(near), near_examples=near[:10],
        overlong=int((lengths_N >= limit).sum()), overlong_from=limit, median_words=float(np.median(lengths_N)),
        longest_words=int(lengths_N.max()), wrong_script=len(wrong), wrong_script_places=wrong[:10], scripts=shares,
        words=int(lengths_N.sum()), vocabulary=len(counts), once=sum(count == 1 for count in counts.values()),
        growth=growth, dropped=dropped or {}, noted=noted or {})


def _overlong_from(lengths_N: np.ndarray) -> int:
    if not len(lengths_N):
        return 1
    low, high = np.quantile(lengths_N, [0.25, 0.75])
    return int(np.floor(high + FENCE * (high - low))) + 1


def _vocabulary(units: Sequence[Sequence[str]]) -> tuple[dict[str, int], list[tuple[int, int]]]:
    counts: dict[str, int] = {}
    growth, words, steps = [], 0, 10
    edges = {len(units) * step // steps for step in range(1, steps + 1)}
    for done, each in enumerate(units, 1):
        for word in each:
            counts[word] = counts.get(word, 0) + 1
        words += len(each)
        if done in edges:
            growth.append((words, len(counts)))
    return counts, growth
