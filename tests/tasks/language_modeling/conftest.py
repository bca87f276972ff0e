"""Fixtures over the made-up language of tests/support/made_language.py."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from made_language import make_config, write_folder

from gatesweep.runs.experiment import ExperimentConfig


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "text")


@pytest.fixture
def config_of(folder: Path) -> Callable[..., ExperimentConfig]:
    return lambda **changes: make_config(folder, **changes)
