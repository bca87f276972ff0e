"""Candidates for wrong labels: texts that a linear model, trained on the others, confidently calls something else.

Bag of words (tf-idf of words and of pairs of words, the 100,000 most frequent), logistic regression, five folds: each
text is judged by the model that did not see it. Of equal texts the first alone takes part, so that no copy votes for
itself. A suspect is no proof: irony and mixed opinions are among them. ("Confident learning", C. Northcutt et al., JAIR
2021, is the idea; here the rule is the plain one: the text's own label has a probability below 0.1.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...errors import DataError

BELOW = 0.1
FOLDS = 5
_FEATURES = 100_000


@dataclass(frozen=True)
class Suspect:
    """One text whose label may be wrong."""

    row: int
    """Its place among the texts that were kept, from 0."""

    label: str
    instead: str
    """What the others suggest."""

    probability: float
    """That the label is right."""

    text: str
    """Its beginning."""


@dataclass(frozen=True)
class Verdict:
    """All suspects, the most suspect first, and how far the model is to be trusted."""

    accuracy: float
    """Of the model, on texts that it did not see."""

    suspects: list[Suspect]


def suspects(texts: Sequence[str], labels: Sequence[str], keys: Sequence[str], *, seed: int = 0) -> Verdict:
    """Judge every label.

    Raises:
        DataError: fewer than two classes of five texts.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    first = {key: row for row, key in reversed(list(enumerate(keys)))}
    rows = sorted(first.values())
    names, codes_N = np.unique([labels[row] for row in rows], return_inverse=True)
    if len(names) < 2 or np.bincount(codes_N).min() < FOLDS:
        raise DataError(f"wrong labels cannot be looked for: that needs two classes of {FOLDS} different texts or more",
                        hint="--suspects 0 leaves that out")
    words = TfidfVectorizer(ngram_range=(1, 2), max_features=_FEATURES, sublinear_tf=True, dtype=np.float32)
    x_NV = words.fit_transform([texts[row] for row in rows])
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    p_NK = cross_val_predict(LogisticRegression(C=5, max_iter=200), x_NV, codes_N, cv=folds, method="predict_proba")
    own_N, best_N = p_NK[np.arange(len(rows)), codes_N], p_NK.argmax(axis=1)
    order = [int(each) for each in np.argsort(own_N, kind="stable") if own_N[each] < BELOW]
    found = [Suspect(rows[each], str(names[codes_N[each]]), str(names[best_N[each]]), float(own_N[each]),
                     texts[rows[each]][:160]) for each in order]
    return Verdict(float((best_N == codes_N).mean()), found)
