"""Texts made here, small enough to count by hand."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gatesweep.tasks.classification.config import ClassificationData, ClassificationModel
from gatesweep.tasks.classification.task import SequenceClassification

GOOD, BAD, FILLER = ("good", "great", "fine"), ("bad", "awful", "poor"), ("the", "film", "plot", "a", "scene", "actor")


def made_texts(count: int = 120, *, labels: tuple[str, ...] = ("neg", "pos"), seed: int = 0) -> pd.DataFrame:
    """As many of each label, of 4 to 20 words; what a text is worth, two of its words say."""
    rng, rows = np.random.default_rng(seed), []
    for number in range(count):
        label = labels[number % len(labels)]
        words = list(rng.choice(FILLER, rng.integers(4, 18)))
        telling = GOOD if label == "pos" else BAD if label == "neg" else (label, label)
        for word in rng.choice(telling, 2):
            words.insert(int(rng.integers(len(words))), str(word))
        rows.append((f"{' '.join(words)} n{number}", label))
    return pd.DataFrame(rows, columns=["text", "label"])


def written(frame: pd.DataFrame, path: Path) -> Path:
    """As a CSV of the user's."""
    frame.to_csv(path, index=False, quoting=csv.QUOTE_ALL)
    return path


def settings(path: Path | str = "made.csv", **values: Any) -> ClassificationData:
    return ClassificationData(path=str(path), **{"min_count": 1, **values})


def network(**values: Any) -> ClassificationModel:
    """A small one."""
    return ClassificationModel(**{"hidden_size": 8, "embedding_size": 6, "bidirectional": True, **values})


def task_of(path: Path, *, model: ClassificationModel | None = None, say: Any = lambda line: None, batch_size: int = 16,
            seed: int = 1, **values: Any) -> SequenceClassification:  # fmt: skip
    return SequenceClassification(settings(path, **values), model or network(), batch_size=batch_size, seed=seed,
                                  say=say)  # fmt: skip
