"""Where labelled texts come from: the catalogue's reviews, the folder aclImdb, or a CSV of the user's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from gatesweep.data.fetch import Dataset, ensure, user_data
from gatesweep.data.text import read_imdb, read_labelled_csv, read_reviews
from gatesweep.errors import DataError
from gatesweep.tasks.classification.config import ClassificationData
from gatesweep.tasks.classification.splitting import SPLITS

PARTS = {"imdb": ["imdb"], "rotten_tomatoes": ["rotten_tomatoes"], "all": ["imdb", "rotten_tomatoes"]}


def dataset_of(data: ClassificationData, say: Callable[[str], None]) -> Dataset:
    """The set, on this machine and verified."""
    return ensure("reviews", say=say) if data.name == "reviews" else user_data(str(data.path))


def read(dataset: Dataset, data: ClassificationData) -> pd.DataFrame:
    """Columns text, label (as text), and where the data tells them: split, film.

    Raises:
        DataError: a wrong layout, count, encoding, label or split.
    """
    if data.name == "reviews" and not dataset.own:
        frame = read_reviews(dataset, films=data.films == "apart")
        frame = frame[frame["source"].isin(PARTS[data.part])]
    else:
        frame = read_imdb(dataset.path) if dataset.path.is_dir() else read_labelled_csv(dataset.path)
    wanted = ("text", "label", "split", *(["film"] if data.films == "apart" else []))
    columns = [name for name in wanted if name in frame]
    frame = frame[columns].reset_index(drop=True)
    if "split" in frame:
        _check_splits(frame, dataset.path)
    return frame


def _check_splits(frame: pd.DataFrame, path: Path) -> None:
    strange = frame.loc[~frame["split"].isin(SPLITS), "split"].value_counts()
    if len(strange):
        raise DataError(f"column 'split' says {strange.index[0]!r} in {strange.iloc[0]} rows", place=str(path),
                        hint=f"one of: {', '.join(SPLITS)}")  # fmt: skip
