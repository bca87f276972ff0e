"""film_groups: which of IMDb's reviews may share a film, as far as the order of the file and the names in it tell.

No film is named. But the published archive lists the reviews of a film one after another, at most 30 of them, and
this file keeps that order within each class: rare names are shared between neighbours often, less with the distance,
and from 30 rows on no more than anywhere. Single films cannot be told apart (half of the reviews share no rare name
with the next one); pieces of the file can:

    cut      each class where the fewest rare names are shared across, once in 15 to 50 rows: mostly none are
    join     pieces of the two classes in which two reviews share five rare names or more

A group is what is joined: some tens of reviews, of several films; hardly any film lies in two groups.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np

NEAR = 30
"""Rows: reviews of one film and class lie nearer than that."""

SHORTEST, LONGEST = 15, 50
"""Rows of a piece; between them lies at least one film's end."""

LINK = 5
_NAME = re.compile(r"""(?<![.!?>"]\s)(?<!^)\b[A-Z][a-z'\-]{2,}""")

Ints = np.ndarray[Any, np.dtype[np.int64]]


def film_groups(texts: Sequence[str], labels: Sequence[str]) -> Ints:
    """A group's number for each review; the reviews of each label are in the order of the published archive."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    names, labels_N = rare_names(texts), np.asarray(labels)
    rows_of = [np.flatnonzero(labels_N == label) for label in sorted(set(labels))]
    pieces_N = np.full(len(texts), -1, dtype=np.int64)
    for rows in rows_of:
        pieces_N[rows] = pieces_N.max() + 1 + _pieces(names[rows])
    joined = [_linked(names, a, b) for a, b in combinations(rows_of, 2)]
    ends = np.concatenate([np.empty((2, 0), dtype=np.int64), *joined], axis=1)
    count = int(pieces_N.max()) + 1
    graph = coo_matrix((np.ones(ends.shape[1]), (pieces_N[ends[0]], pieces_N[ends[1]])), shape=(count, count))
    return connected_components(graph, directed=False)[1].astype(np.int64)[pieces_N]


def _linked(names: Any, a: Ints, b: Ints) -> Ints:
    """(2, links): rows of `a` and of `b` that share at least `LINK` names."""
    shared = (names[a] @ names[b].T).tocoo()
    strong = shared.data >= LINK
    return np.stack([a[shared.row[strong]], b[shared.col[strong]]])


def rare_names(texts: Sequence[str]) -> Any:
    """Sparse, (reviews, names): 1 where a capitalised word, not at a sentence's start, occurs in 2 to 40 reviews."""
    from sklearn.feature_extraction.text import CountVectorizer

    counter = CountVectorizer(analyzer=lambda text: set(_NAME.findall(text)), min_df=2, max_df=40, dtype=np.int32)
    return counter.fit_transform(texts)


def _pieces(names: Any) -> Ints:
    """The number of the piece that each review lies in, rising from 0."""
    crossing, cuts, at = _crossing(names), [], 0
    while at + LONGEST < len(crossing):
        at += SHORTEST + int(crossing[at + SHORTEST : at + LONGEST].argmin())
        cuts.append(at)
    return np.searchsorted(np.array(cuts, dtype=np.int64), np.arange(len(crossing)), side="right")


def _crossing(names: Any) -> Ints:
    """For a cut before each row: how many names are shared across it, within `NEAR` rows."""
    change = np.zeros(names.shape[0] + 1, dtype=np.int64)
    for distance in range(1, min(NEAR, names.shape[0])):
        shared = np.asarray(names[:-distance].multiply(names[distance:]).sum(axis=1)).ravel()
        np.add.at(change, np.arange(len(shared)) + 1, shared)
        np.add.at(change, np.arange(len(shared)) + 1 + distance, -shared)
    return np.cumsum(change)[:-1]

