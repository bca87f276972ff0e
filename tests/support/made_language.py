"""A made-up language, small enough to train on in a second: a walk over words, some of them rare."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from gatesweep.runs.experiment import ExperimentConfig, experiment_from

WORDS = ["the", "cat", "dog", "sees", "hears", "a", "bird", "small", "old", "quietly"]


def make_lines(count: int, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    chances = np.random.default_rng(7).dirichlet(np.full(len(WORDS), 0.3), size=len(WORDS))
    lines = []
    for _ in range(count):
        word, line = 0, []
        for _ in range(rng.integers(2, 9)):
            line.append(WORDS[word] if rng.random() > 0.03 else "<unk>")
            word = rng.choice(len(WORDS), p=chances[word])
        lines.append(" ".join(line))
    return lines



def write_folder(folder: Path, *, train: int = 120, valid: int = 30, test: int = 30) -> Path:
    """In the layout of the Penn Treebank."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, (split, count) in enumerate({"train": train, "valid": valid, "test": test}.items()):
        if count:
            text = "".join(f" {line} \n" for line in make_lines(count, number))
            (folder / f"ptb.{split}.txt").write_text(text)
    return folder


def make_config(folder: Path, **changes: Any) -> ExperimentConfig:
    raw: dict[str, Any] = {
        "task": "language_modeling",
        "data": {"path": str(folder), "bptt": 7, "eval_streams": 3},
        "model": {"hidden_size": 8, "layers": 2, "dropout": 0.2},
        "optimizer": {"name": "sgd", "lr": 1.0, "clip_norm": 5.0},
        "trainer": {"max_epochs": 4, "batch_size": 4},
        "seed": 3,
    }
    for section, values in changes.items():
        raw[section] = {**raw[section], **values} if isinstance(values, dict) and section in raw else values
    return experiment_from(raw, place="test")
