"""From sound to frames: log-mel filterbank energies by kaldi-native-fbank, without dither, so that they are exact.

    frames     T = 1 + floor((N - window) / shift): whole windows alone, so that sound in pieces gives the same
    cmvn       x' = (x - mean) / deviation, over the utterance or over all training frames

Features of a set's recordings are computed once and kept by content:

    <home>/cache/audio-features/<digest of the sounds and the settings>/frames.npy    float32, all one after the other

Letters: N samples, T frames, D features.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatesweep.config.digest import digest
from gatesweep.config.places import find_root, home
from gatesweep.data.audio.sounds import Sounds
from gatesweep.data.audio.wave import Samples
from gatesweep.errors import ConfigError, UserError
from gatesweep.tasks.speech.sound_config import FeatureConfig

Features = NDArray[np.float32]
LEAST_DEVIATION = 1e-2
DELTA_WINDOW = 2


class Frontend:
    """Computes frames at one rate.

    Raises:
        UserError: kaldi-native-fbank is not installed.
        ConfigError: a window without a sample, or filters that lie above half the rate.
    """

    def __init__(self, config: FeatureConfig, rate: int) -> None:
        self.config, self.rate = config, rate
        self.window, self.shift = (round(rate * ms / 1000) for ms in (config.window_ms, config.shift_ms))
        if self.shift < 1 or self.window < 2:
            raise ConfigError(f"a window of {config.window_ms:g} ms has no samples at {rate} Hz",
                              place="data.features")
        if config.low_hz >= rate / 2:
            raise ConfigError(f"filters begin at {config.low_hz:g} Hz, and the sound ends at {rate / 2:g} Hz",
                              place="data.features.low_hz", hint="a lower one, or a higher data.rate")
        self._library, self._options = _library(), None

    @property
    def size(self) -> int:
        """D."""
        return (self.config.cepstra or self.config.mels) * (2 if self.config.deltas else 1)

    def online(self) -> Any:
        """An extractor that takes sound in pieces: kaldi_native_fbank.OnlineFbank."""
        if self._options is None:
            options = self._library.FbankOptions()
            options.frame_opts.samp_freq, options.frame_opts.dither = float(self.rate), 0.0
            options.frame_opts.frame_length_ms = self.window * 1000 / self.rate
            options.frame_opts.frame_shift_ms = self.shift * 1000 / self.rate
            options.mel_opts.num_bins, options.mel_opts.low_freq = self.config.mels, self.config.low_hz
            self._options = options
        return self._library.OnlineFbank(self._options)

    def __call__(self, samples_N: Samples) -> Features:
        """`x_TD`; T is 0 where the sound is shorter than a window."""
        extractor = self.online()
        extractor.accept_waveform(self.rate, samples_N)
        extractor.input_finished()
        energies = [extractor.get_frame(t) for t in range(extractor.num_frames_ready)]
        if not energies:
            return np.empty((0, self.size), np.float32)
        x_TD = self.of_energies(np.stack(energies))
        return with_deltas(x_TD) if self.config.deltas else x_TD

    def of_energies(self, x_TM: Features) -> Features:
        """Log-mel energies, `[T, M]`, or their first cepstral coefficients."""
        if self.config.cepstra is None:
            return x_TM
        from scipy.fft import dct

        found: Features = dct(x_TM, type=2, axis=1, norm="ortho")[:, : self.config.cepstra]
        return np.ascontiguousarray(found, dtype=np.float32)

    def frames(self, samples: int) -> int:
        """T of that many samples."""
        return max(0, 1 + (samples - self.window) // self.shift)

    def centres(self, frames: int) -> NDArray[np.int64]:
        """The sample in the middle of each frame's window."""
        return np.arange(frames) * self.shift + self.window // 2


def at_least(samples_N: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """With silence after the end where a faster speed has left less than a window."""
    return np.pad(samples_N, (0, max(0, count - len(samples_N))))


def with_deltas(x_TD: Features) -> Features:
    """The frames with their first differences beside them: [T, 2 D]."""
    library = _library()
    found: Features = library.compute_deltas(library.DeltaOptions(order=1, window=DELTA_WINDOW), x_TD)
    return found


@dataclass(frozen=True)
class Scaling:
    """What is subtracted from each feature, and what it is divided by."""

    mean_D: Features
    deviation_D: Features

    @classmethod
    def of(cls, x_TD: Features) -> Scaling:
        """To mean 0 and variance 1; a feature that hardly changes is not blown up."""
        return cls(x_TD.mean(axis=0, dtype=np.float64).astype(np.float32),
                   np.maximum(x_TD.std(axis=0, dtype=np.float64), LEAST_DEVIATION).astype(np.float32))

    @classmethod
    def none(cls, size: int) -> Scaling:
        """Leaves everything as it is."""
        return cls(np.zeros(size, np.float32), np.ones(size, np.float32))

    def __call__(self, x_TD: Features) -> Features:
        return (x_TD - self.mean_D) / self.deviation_D


class FeatureShelf:
    """The features of every recording of a set, from the cache or computed now."""

    def __init__(self, sounds: Sounds, frontend: Frontend) -> None:
        lengths_R = [frontend.frames(each.samples) for each in sounds.findings]
        self.start_R = np.cumsum([0, *lengths_R])
        settings = frontend.config.model_dump(mode="json", exclude={"cmvn"})
        contents = [each.content for each in sounds.findings]
        folder = home(find_root()) / "cache" / "audio-features"
        file = folder / f"{digest([settings, sounds.rate, contents])[:24]}.npy"
        if not file.is_file():
            folder.mkdir(parents=True, exist_ok=True)
            flat = np.concatenate([np.empty((0, frontend.size), np.float32),
                                   *(frontend(sounds.samples(i)) for i in range(len(sounds)))])  # fmt: skip
            with tempfile.NamedTemporaryFile(dir=folder, delete=False) as temporary:
                np.save(temporary, flat)
            os.replace(temporary.name, file)
        self.flat = np.load(file, mmap_mode="r", allow_pickle=False)

    def __getitem__(self, number: int) -> Features:
        return np.array(self.flat[self.start_R[number] : self.start_R[number + 1]])

    def scaling(self, numbers: Sequence[int]) -> Scaling:
        """Over all frames of these recordings."""
        return Scaling.of(np.concatenate([self[number] for number in sorted(set(numbers))]))


def _library() -> Any:
    try:
        import kaldi_native_fbank
    except ImportError as error:
        raise UserError("features of sound are kaldi-native-fbank's, which is not installed",
                        hint="pip install 'kaldi-native-fbank>=1.22'") from error
    return kaldi_native_fbank
