"""A small language and its translation: a word for a word, the last one first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatesweep.tasks.translation.config import TranslationData, TranslationModel
from gatesweep.tasks.translation.task import Translation

WORDS = {"Hund": "dog", "Katze": "cat", "Haus": "house", "Baum": "tree", "Mann": "man", "Frau": "woman", "rot": "red",
         "alt": "old", "klein": "small", "geht": "walks", "sieht": "sees", "und": "and"}  # fmt: skip


def sentences(count: int, seed: int) -> list[tuple[str, str]]:
    rng, words = np.random.default_rng(seed), list(WORDS)
    drawn = [[words[i] for i in rng.integers(len(words), size=rng.integers(2, 7))] for _ in range(count)]
    return [(" ".join(row) + " .", " ".join(WORDS[word] for word in reversed(row)) + ".") for row in drawn]


def write(folder: Path, split: str, pairs: list[tuple[str, str]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for language, side in (("de", 0), ("en", 1)):
        (folder / f"{split}.{language}").write_text("".join(pair[side] + "\n" for pair in pairs), encoding="utf-8")


def task_of(folder: Path, *, model: dict[str, Any] | None = None, seed: int = 1, say: Any = None,
            **data: Any) -> Translation:
    settings = TranslationData(**{"path": str(folder), "source": "de", "target": "en", "vocabulary": 60, **data})
    network = TranslationModel(**{"hidden_size": 12, "embedding_size": 12, "max_output": 12, "beam_size": 3,
                                  **(model or {})})
    return Translation(settings, network, batch_size=16, seed=seed, say=say or (lambda line: None))


@pytest.fixture
def parallel(tmp_path: Path) -> Path:
    """A folder of train, val and test."""
    for split, count, seed in (("train", 120, 1), ("val", 24, 2), ("test", 20, 3)):
        write(tmp_path / "parallel", split, sentences(count, seed))
    return tmp_path / "parallel"


@pytest.fixture
def write_pairs() -> Callable[[Path, str, list[tuple[str, str]]], None]:
    return write


@pytest.fixture
def some_pairs() -> Callable[[int, int], list[tuple[str, str]]]:
    return sentences


@pytest.fixture
def make_task() -> Callable[..., Translation]:
    return task_of
