"""open_sounds: every recording of a set opened, judged, brought to one rate, and kept by content.

    <home>/cache/audio/<digest of the set's bytes and the rate>/sounds.npy    int16, all recordings one after the other
                                                              /sounds.json    where each begins, and what was found

So a second training opens no .wav. The sound is mapped, not read: a set may be larger than memory.

    silent    no sample above -60 dB of full scale            clipped   over 0.1% of the samples are at full scale
    short     no whole window of the features                 repeated  sample for sample as an earlier recording
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...config.digest import digest
from ...config.places import find_root, home
from .recordings import Recording
from .wave import BrokenAudio, Samples, at_rate, read_wave

FULL_SCALE = 32767
SILENT, AT_FULL, CLIPPED_SHARE = 1e-3, 0.999, 1e-3


@dataclass(frozen=True)
class Finding:
    """What was found in one file."""

    rate: int
    """Hertz, of the file; 0 of a broken one."""

    channels: int
    samples: int
    """At the rate that was asked for."""

    peak: float
    """The largest sample, full scale being 1."""

    clipped: float
    """Share of the samples at full scale."""

    content: str
    """Digest of the samples."""

    broken: str = ""
    """What keeps it from being read."""

    @property
    def is_silent(self) -> bool:
        return not self.broken and self.peak < SILENT

    @property
    def is_clipped(self) -> bool:
        return self.clipped > CLIPPED_SHARE


@dataclass(frozen=True)
class Sounds:
    """All recordings of a set, in their order."""

    rate: int
    findings: tuple[Finding, ...]
    start_N: NDArray[np.int64]
    flat: NDArray[np.int16]
    """Mapped, not in memory."""

    def __len__(self) -> int:
        return len(self.findings)

    def samples(self, number: int) -> Samples:
        """Of one recording, between -1 and 1."""
        start = int(self.start_N[number])
        stored_N = self.flat[start : start + self.findings[number].samples]
        return stored_N.astype(np.float32) / np.float32(FULL_SCALE)


def open_sounds(recordings: Sequence[Recording], rate: int, *, md5: str) -> Sounds:
    """From the cache, or opened now.

    Args:
        rate: hertz that every recording is brought to.
        md5: of the set's bytes.
    """
    names = ["/".join(row.path.parts[-3:]) for row in recordings]
    folder = home(find_root()) / "cache" / "audio" / digest([md5, rate, names])[:24]
    if not (folder / "sounds.json").is_file():
        _open_all(recordings, rate, folder)
    told = json.loads((folder / "sounds.json").read_text(encoding="utf-8"))
    findings = tuple(Finding(**each) for each in told)
    start_N = np.cumsum([0, *(each.samples for each in findings)])[:-1].astype(np.int64)
    return Sounds(rate, findings, start_N, np.load(folder / "sounds.npy", mmap_mode="r", allow_pickle=False))


def _open_all(recordings: Sequence[Recording], rate: int, folder: Path) -> None:
    """Whole or not at all: the account is written last."""
    folder.mkdir(parents=True, exist_ok=True)
    findings, pieces = [], []
    for row in recordings:
        finding, stored_N = _opened(row.path, rate)
        findings.append(asdict(finding))
        pieces.append(stored_N)
    flat = np.concatenate(pieces) if pieces else np.empty(0, np.int16)
    with tempfile.NamedTemporaryFile(dir=folder, delete=False) as temporary:
        np.save(temporary, flat)
    os.replace(temporary.name, folder / "sounds.npy")
    with tempfile.NamedTemporaryFile("w", dir=folder, delete=False, encoding="utf-8") as account:
        json.dump(findings, account)
    os.replace(account.name, folder / "sounds.json")


def _opened(path: Path, rate: int) -> tuple[Finding, NDArray[np.int16]]:
    try:
        wave = read_wave(path)
    except BrokenAudio as error:
        return Finding(0, 0, 0, 0.0, 0.0, "", broken=error.message), np.empty(0, np.int16)
    loud_N = np.abs(wave.samples_N)
    stored_N = np.rint(at_rate(wave.samples_N, wave.rate, rate).clip(-1, 1) * FULL_SCALE).astype(np.int16)
    content = hashlib.sha256(stored_N.tobytes()).hexdigest()[:32]
    return Finding(wave.rate, wave.channels, len(stored_N), float(loud_N.max()), float((loud_N >= AT_FULL).mean()),
                   content), stored_N
