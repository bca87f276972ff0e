"""Small music and a task on it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_music import make_config, write_json

from gatesweep.runs.experiment import ExperimentConfig
from gatesweep.tasks.music.config import MusicData, MusicModel
from gatesweep.tasks.music.task import Music


@pytest.fixture
def music_file(tmp_path: Path) -> Path:
    """Train, val and test in one .json."""
    return write_json(tmp_path / "music.json")


@pytest.fixture
def make_task(music_file: Path) -> Callable[..., Music]:
    def make(path: Path | None = None, *, model: dict[str, Any] | None = None, seed: int = 1, batch_size: int = 8,
             **data: Any) -> Music:
        settings = MusicData(path=str(path or music_file), **data)
        network = MusicModel(**{"hidden_size": 10, "head_size": 20, **(model or {})})
        return Music(settings, network, batch_size=batch_size, seed=seed, say=lambda line: None)

    return make


@pytest.fixture
def config_of(music_file: Path) -> Callable[..., ExperimentConfig]:
    return lambda path=None, **changes: make_config(path or music_file, **changes)
