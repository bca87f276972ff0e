"""Answers without a model that learns, scored as the model's are.

    most frequent        the label, or text, that came most often in training, whatever is heard
    most frequent word   of texts: the commonest word of training as often as a text has words on average
    nearest mean         of labels: the one whose training recordings have the most alike mean over frames
                         (Euclidean distance, features scaled over the training recordings)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from gatesweep.tasks.base import Baseline
from gatesweep.tasks.speech.features import Features, Scaling

TRIVIAL = ("most frequent", "most frequent word")


def most_frequent(answers: Sequence[str]) -> str:
    """Of equals the first in the alphabet."""
    counts = Counter(answers)
    return min(counts, key=lambda each: (-counts[each], each))


def commonest_word(texts: Sequence[str]) -> str:
    """As many times as texts have words on average."""
    words = [word for text in texts for word in text.split()]
    return " ".join([most_frequent(words)] * max(1, round(len(words) / len(texts))))


def nearest_mean(train: Sequence[Features], answers: Sequence[str], asked: Sequence[Features]) -> list[str]:
    """The label of the closest centre of each; frames are not scaled yet."""
    mean_ND, asked_MD = (np.stack([x_TD.mean(axis=0) for x_TD in part]) for part in (train, asked))
    scaling, labels = Scaling.of(mean_ND), sorted(set(answers))
    is_LN = np.array([[answer == label for answer in answers] for label in labels])
    centre_LD = np.stack([scaling(mean_ND[is_N]).mean(axis=0) for is_N in is_LN])
    distance_ML = ((scaling(asked_MD)[:, None] - centre_LD[None]) ** 2).sum(axis=2)
    return [labels[place] for place in distance_ML.argmin(axis=1)]


def baseline(written: dict[str, list[str]], references: list[str],
             scores: Callable[[list[str], list[str]], dict[str, float]], *, text: bool) -> Baseline:
    """Every candidate; the baseline is the best of them."""
    candidates = {name: scores(lines, references) for name, lines in written.items()}
    error = "wer" if "wer" in next(iter(candidates.values())) else "per"
    name = min(candidates, key=lambda each: candidates[each][error] if text else -candidates[each]["accuracy"])
    return Baseline(name, candidates[name], candidates)
