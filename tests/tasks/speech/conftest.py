"""Recordings made here: each word two tones one after the other, each speaker a pitch of their own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import wavfile

from gatesweep.tasks.speech.config import SpeechData, SpeechModel
from gatesweep.tasks.speech.task import SpeechRecognition

RATE = 8000
PITCH = {"anna": 1.0, "bert": 1.15, "carl": 0.9}


def tones(digit: int, speaker: str, take: int, seconds: float = 0.25) -> np.ndarray:
    rng = np.random.default_rng((digit, len(speaker), take))
    t = np.arange(round(RATE * seconds * rng.uniform(0.8, 1.2))) / RATE
    first, second = (PITCH[speaker] * hz for hz in (400 + 150 * digit, 1900 - 130 * digit))
    half = len(t) // 2
    wave = np.concatenate([np.sin(2 * np.pi * first * t[:half]), np.sin(2 * np.pi * second * t[half:])])
    return (0.4 * wave + 0.01 * rng.standard_normal(len(t))).astype(np.float32)


def write(file: Path, samples: np.ndarray, rate: int = RATE) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    wavfile.write(file, rate, np.rint(samples * 32767).astype(np.int16))


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATESWEEP_HOME", str(tmp_path / "home"))


@pytest.fixture
def spoken(tmp_path: Path) -> Path:
    """FSDD's layout: digits 0 to 3, three speakers, takes 0 to 7."""
    for digit in range(4):
        for speaker in PITCH:
            for take in range(8):
                write(tmp_path / "spoken" / f"{digit}_{speaker}_{take}.wav", tones(digit, speaker, take))
    return tmp_path / "spoken"


@pytest.fixture
def write_wave() -> Callable[..., None]:
    return write


@pytest.fixture
def make_tones() -> Callable[..., np.ndarray]:
    return tones


def settings(folder: Path, **data: Any) -> dict[str, Any]:
    return {"name": "fsdd", "path": str(folder), "partial": True, "test_takes": [0, 1], "val_takes": [2], **data}


def task_of(folder: Path, *, model: dict[str, Any] | None = None, seed: int = 1, say: Any = None,
            **data: Any) -> SpeechRecognition:
    return SpeechRecognition(SpeechData(**settings(folder, **data)), SpeechModel(**{"hidden_size": 8, **(model or {})}),
                             batch_size=8, seed=seed, say=say or (lambda line: None))


@pytest.fixture
def make_task() -> Callable[..., SpeechRecognition]:
    return task_of


@pytest.fixture
def fsdd_settings() -> Callable[..., dict[str, Any]]:
    return settings


