"""What is done to a training utterance: to its sound, then to its features. Every draw comes from the given generator.

Letters: N samples, T frames, D features.
"""

from __future__ import annotations

import math

import numpy as np

from gatesweep.data.audio.wave import Samples, at_rate
from gatesweep.tasks.speech.features import Features
from gatesweep.tasks.speech.sound_config import AugmentConfig

SPEED_STEPS = 40
"""Speeds are fractions with this denominator: the converter's filters stay short."""


def drawn_speed(config: AugmentConfig, rng: np.random.Generator) -> float:
    """The speed of an utterance; 1 where the configuration changes none."""
    return math.exp(rng.uniform(-1, 1) * math.log1p(config.speed)) if config.speed else 1.0


def changed_sound(samples_N: Samples, config: AugmentConfig, rng: np.random.Generator, *, speed: float) -> Samples:
    """Speed, loudness and noise, as the configuration says."""
    if config.speed:
        samples_N = at_speed(samples_N, speed)
    if config.gain_db:
        samples_N = samples_N * np.float32(10 ** (rng.uniform(-1, 1) * config.gain_db / 20))
    if config.noise and rng.random() < config.noise:
        samples_N = with_noise(samples_N, rng.uniform(*config.noise_snr_db), rng)
    return samples_N


def at_speed(samples_N: Samples, speed: float) -> Samples:
    """Played that much faster: length / speed, pitch * speed."""
    return at_rate(samples_N, speed_step(speed), SPEED_STEPS)


def speed_step(speed: float) -> int:
    """The speed that is played, in parts of `SPEED_STEPS`."""
    return max(1, round(SPEED_STEPS * speed))


def with_noise(samples_N: Samples, snr_db: float, rng: np.random.Generator) -> Samples:
    """White noise on top, whose power is the sound's divided by 10^(snr / 10)."""
    power = float(np.mean(samples_N.astype(np.float64) ** 2))
    noise_N = rng.standard_normal(len(samples_N), dtype=np.float32)
    return samples_N + noise_N * np.float32(math.sqrt(power * 10 ** (-snr_db / 10)))


def masked(x_TD: Features, config: AugmentConfig, rng: np.random.Generator) -> Features:
    """SpecAugment without time warping: stretches of frames and bands of features set to 0, the mean after cmvn."""
    if not (config.time_masks or config.freq_masks):
        return x_TD
    T, D = x_TD.shape
    x_TD = x_TD.copy()
    for start, stop in _stretches(T, min(config.time_mask_frames, int(config.time_mask_share * T)), config.time_masks,
                                  rng):  # fmt: skip
        x_TD[start:stop] = 0.0
    for start, stop in _stretches(D, min(config.freq_mask_bands, D), config.freq_masks, rng):
        x_TD[:, start:stop] = 0.0
    return x_TD


def _stretches(size: int, longest: int, count: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    """`count` stretches of 0 to `longest` places."""
    found = []
    for _ in range(count):
        width = int(rng.integers(longest + 1))
        start = int(rng.integers(size - width + 1))
        found.append((start, start + width))
    return found
