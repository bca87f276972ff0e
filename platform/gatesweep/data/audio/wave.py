"""One .wav as numbers: N samples between -1 and 1, one channel, at the rate that is asked for.

Several channels become their mean. Another rate is converted by a polyphase filter without aliasing
(scipy.signal.resample_poly). Both are said of each file: whoever reads a set counts them.
"""

from __future__ import annotations

import struct
import warnings
from dataclasses import dataclass
from math import gcd
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError

Samples = NDArray[np.float32]


class BrokenAudio(DataError):
    """A file that holds no sound that can be read: empty, cut off, or no .wav at all."""


@dataclass(frozen=True)
class Wave:
    """One recording, opened."""

    samples_N: Samples
    rate: int
    channels: int
    """Of the file; `samples_N` has one."""


def read_wave(path: Path, rate: int | None = None) -> Wave:
    """The sound of a file. `rate` of the result is the file's own; the samples are at `rate` where it is given.

    Raises:
        BrokenAudio: an empty file, a file that ends too early, or another format than PCM or float .wav.
    """
    from scipy.io import wavfile

    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Chunk .* not understood", category=wavfile.WavFileWarning)
            warnings.filterwarnings("error", category=wavfile.WavFileWarning)
            found, raw_NC = wavfile.read(path)
    except (ValueError, EOFError, struct.error, wavfile.WavFileWarning) as error:
        raise BrokenAudio(f"is no sound .wav: {error}", place=str(path)) from error
    except OSError as error:
        raise BrokenAudio(f"cannot be read: {error.strerror or error}", place=str(path)) from error
    if not len(raw_NC):
        raise BrokenAudio("holds no sample", place=str(path))
    samples_NC = _between_ones(raw_NC.reshape(len(raw_NC), -1))
    if not np.isfinite(samples_NC).all():
        raise BrokenAudio("holds samples that are no numbers", place=str(path))
    return Wave(at_rate(samples_NC.mean(axis=1), found, rate or found), found, samples_NC.shape[1])


def at_rate(samples_N: Samples, rate: int, wanted: int) -> Samples:
    """The same sound at another rate in hertz."""
    if rate == wanted:
        return samples_N.astype(np.float32)
    from scipy.signal import resample_poly

    common = gcd(rate, wanted)
    return np.asarray(resample_poly(samples_N.astype(np.float64), wanted // common, rate // common), np.float32)


def _between_ones(raw_NC: NDArray[np.generic]) -> Samples:
    """Whole numbers by their range, 8 bits being unsigned; floats as they are."""
    if raw_NC.dtype == np.uint8:
        return ((raw_NC.astype(np.float64) - 128) / 128).astype(np.float32)
    if np.issubdtype(raw_NC.dtype, np.integer):
        return (raw_NC.astype(np.float64) / -float(np.iinfo(raw_NC.dtype).min)).astype(np.float32)  # type: ignore[type-var]
    return raw_NC.astype(np.float32)
