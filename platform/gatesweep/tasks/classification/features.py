"""What a frozen encoder says of each text, computed once: a file a text in the home folder's cache.

    <home>/cache/features/<digest of the encoder>/<2 hex>/<digest of the text's tokens>.npy     float16, [T, D]

Texts are computed in batches of similar length; rounding to 16 bits hides what a batch's shape does to the last digits.
Another processor's vectors may differ in the last of these bits.  Letters: N texts, T tokens, D width.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gatesweep.config.places import find_root, home
from gatesweep.models.bert import BertTokens
from gatesweep.tasks.text.batches import Buckets, Ids, pad

BATCH, STEPS = 32, 8192
SAY_EVERY_S = 20.0


class Features:
    """The vectors of one encoder.

    Args:
        md5: of the encoder's folder.
        build: makes the encoder, when the first text is missing.
    """

    def __init__(self, md5: str, build: Callable[[], BertTokens], say: Callable[[str], None]) -> None:
        self.folder = home(find_root()) / "cache" / "features" / hashlib.sha256(md5.encode()).hexdigest()[:16]
        self._build, self._say = build, say
        self._encoder: BertTokens | None = None

    def complete(self, rows: Sequence[Ids]) -> None:
        """Compute what is missing; what is there stays, so that an interrupted computation goes on."""
        missing = list({self.file(row): row for row in rows if not self.file(row).is_file()}.values())
        if not missing:
            return
        encoder = self._encoder = (self._encoder or self._build()).eval()
        batches = list(Buckets([len(row) for row in missing], BATCH, shuffle=False, max_steps=STEPS))
        started = said = time.monotonic()
        self._say(f"features: computing {len(missing):,} texts once, into {self.folder}")
        done = 0
        for batch in batches:
            chosen = [missing[number] for number in batch]
            with torch.inference_mode():
                vectors_BTD = encoder(*pad(chosen)).half().numpy()
            for row, vectors_TD in zip(chosen, vectors_BTD, strict=True):
                _write(self.file(row), vectors_TD[: len(row)])
            done += len(batch)
            if time.monotonic() - said > SAY_EVERY_S:
                said = time.monotonic()
                self._say(f"features: {done:,} of {len(missing):,} texts, {said - started:.0f} s")

    def batch(self, rows: Sequence[Ids]) -> Tensor:
        """`vectors_BTD`, zero where a text is over."""
        read = [np.load(self.file(row), allow_pickle=False) for row in rows]
        vectors_BTD = torch.zeros(len(read), max(map(len, read)), read[0].shape[1])
        for number, vectors_TD in enumerate(read):
            vectors_BTD[number, : len(vectors_TD)] = torch.from_numpy(vectors_TD)
        return vectors_BTD

    def file(self, row: Ids) -> Path:
        """Where a text's vectors are."""
        name = hashlib.sha256(row.astype("<i4").tobytes()).hexdigest()[:40]
        return self.folder / name[:2] / f"{name[2:]}.npy"


def _write(file: Path, vectors_TD: NDArray[np.float16]) -> None:
    """Whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=file.parent, delete=False) as temporary:
        np.save(temporary, vectors_TD)
    os.replace(temporary.name, file)
