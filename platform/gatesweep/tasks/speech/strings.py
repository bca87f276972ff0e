"""Utterances: one recording, or several of one speaker with pauses between them.

Strings of training are drawn anew in every epoch, as a function of (seed, epoch); those of val and test once for ever.
A pause is not silent: it holds noise as loud as the quietest tenth of the recordings that it stands between.

Letters: N samples, P recordings of an utterance.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gatesweep.data.audio.recordings import Recording
from gatesweep.data.audio.wave import Samples
from gatesweep.tasks.speech.config import StringConfig

QUIET_MS = 10


class Utterance(NamedTuple):
    """What is said, and of which recordings it is made."""

    parts: tuple[int, ...]
    pauses_s: tuple[float, ...]
    """Before the first, between, and after the last: P + 1, or none where it is one recording as it is."""

    text: str
    speaker: str


def as_they_are(rows: Sequence[Recording], index: Sequence[int]) -> list[Utterance]:
    """One utterance a recording."""
    return [Utterance((i,), (), rows[i].text, rows[i].speaker) for i in index]


def draw(rows: Sequence[Recording], index: Sequence[int], config: StringConfig, count: int,
         rng: np.random.Generator) -> list[Utterance]:
    """`count` strings of these recordings, each of one speaker; every speaker as often as any other."""
    of_speaker: dict[str, list[int]] = {}
    for i in index:
        of_speaker.setdefault(rows[i].speaker, []).append(i)
    speakers, found = sorted(of_speaker), []
    for number in range(count):
        own = of_speaker[speakers[number % len(speakers)]]
        words = int(rng.integers(config.least, config.most + 1))
        parts = tuple(own[place] for place in rng.integers(len(own), size=words).tolist())
        pauses_s = tuple(rng.uniform(0, config.pause_ms / 1000, size=words + 1).tolist())
        found.append(Utterance(parts, pauses_s, " ".join(rows[i].text for i in parts), rows[parts[0]].speaker))
    return found


def put_together(pieces: Sequence[Samples], pauses_s: Sequence[float], rate: int,
                 rng: np.random.Generator) -> tuple[Samples, NDArray[np.int64]]:
    """The sound of an utterance, and `place_N`: which piece each sample is of, -1 in a pause."""
    if not pauses_s:
        return pieces[0], np.zeros(len(pieces[0]), np.int64)
    level = min(quiet_level(piece, rate) for piece in pieces)
    sounds, places = [], []
    for number, pause_s in enumerate(pauses_s):
        noise_N = rng.standard_normal(round(pause_s * rate), dtype=np.float32) * np.float32(level)
        sounds.append(noise_N)
        places.append(np.full(len(noise_N), -1))
        if number < len(pieces):
            sounds.append(pieces[number])
            places.append(np.full(len(pieces[number]), number))
    return np.concatenate(sounds), np.concatenate(places)


def quiet_level(samples_N: Samples, rate: int) -> float:
    """Root mean square of the tenth of a recording's stretches that is quietest (of its stretches' levels, the first
    decile)."""
    size = max(1, rate * QUIET_MS // 1000)
    whole = samples_N[: len(samples_N) // size * size].astype(np.float64)
    if not len(whole):
        return float(np.sqrt(np.mean(samples_N.astype(np.float64) ** 2)))
    return float(np.quantile(np.sqrt(np.mean(whole.reshape(-1, size) ** 2, axis=1)), 0.1))
