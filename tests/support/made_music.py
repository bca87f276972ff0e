"""Made-up music, small enough to train on in a second: four voices that walk over a scale, and scores of it."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from gatesweep.runs.experiment import ExperimentConfig, experiment_from

SCALE = (0, 2, 4, 5, 7, 9, 11)
Frames = list[list[int]]

CONTAINER = """<?xml version="1.0"?><container><rootfiles><rootfile full-path="score.xml"/></rootfiles></container>"""


def make_pieces(count: int, seed: int, *, least: int = 6, most: int = 14) -> list[Frames]:
    """Chords on a scale, each a step from the one before."""
    rng = np.random.default_rng(seed)
    pieces = []
    for _ in range(count):
        root, degree, frames = 48 + int(rng.integers(0, 5)), 7, []
        for _ in range(int(rng.integers(least, most))):
            degree = int(np.clip(degree + rng.choice([-1, 0, 1, 2]), 3, 12))
            frames.append(sorted(root + 12 * (d // 7) + SCALE[d % 7] for d in (degree, degree + 2, degree + 4)))
        pieces.append(frames)
    return pieces


def write_json(file: Path, *, train: int = 24, valid: int = 8, test: int = 6) -> Path:
    """In the layout of JSB Chorales."""
    file.parent.mkdir(parents=True, exist_ok=True)
    parts = {"train": make_pieces(train, 1), "valid": make_pieces(valid, 2), "test": make_pieces(test, 3)}
    file.write_text(json.dumps({split: pieces for split, pieces in parts.items() if pieces}))
    return file


def note(step: str, octave: int, duration: int, more: str = "", alter: int = 0) -> str:
    """A note in MusicXML."""
    return (f"<note>{more}<pitch><step>{step}</step><alter>{alter}</alter><octave>{octave}</octave></pitch>"
            f"<duration>{duration}</duration></note>")


def rest(duration: int) -> str:
    return f"<note><rest/><duration>{duration}</duration></note>"


def score(parts: dict[str, list[str]], divisions: int = 2) -> str:
    """A partwise score: of each part its measures' inner XML."""
    listed = "".join(
        f'<score-part id="P{i}"><part-name>{name}</part-name></score-part>' for i, name in enumerate(parts))
    head = f"<attributes><divisions>{divisions}</divisions></attributes>"
    bodies = "".join(
        f'<part id="P{i}">'
        + "".join(f'<measure number="{n}">{head if n == 1 else ""}{body}</measure>'
                  for n, body in enumerate(measures, 1))
        + "</part>" for i, measures in enumerate(parts.values()))
    return f'<?xml version="1.0"?><score-partwise><part-list>{listed}</part-list>{bodies}</score-partwise>'


def pack(file: Path, text: str) -> Path:
    """As .mxl."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("META-INF/container.xml", CONTAINER)
        packed.writestr("score.xml", text)
    return file


def make_config(path: Path, **changes: Any) -> ExperimentConfig:
    raw: dict[str, Any] = {
        "name": "music", "task": "music", "data": {"path": str(path)}, "model": {"hidden_size": 12},
        "optimizer": {"name": "adam", "lr": 0.01}, "trainer": {"max_epochs": 2, "batch_size": 8}, "seed": 3,
    }  # fmt: skip
    for section, values in changes.items():
        raw[section] = {**raw[section], **values} if isinstance(values, dict) else values
    return experiment_from(raw, place="test")
