"""Means and deviations of every speaker's frames, at every speed that augmentation plays them.

A voice that is played faster is another voice, with other formants: scaled by its own numbers, as a speaker who was
never heard will be by his, it looks like one. Scaled by those of the voice as recorded, it looks like nobody.

Letters: T frames, D features.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from gatesweep.data.audio.recordings import Recording
from gatesweep.data.audio.sounds import Sounds
from gatesweep.tasks.speech.augment import at_speed, speed_step
from gatesweep.tasks.speech.features import Features, FeatureShelf, Frontend, Scaling, at_least
from gatesweep.tasks.speech.source import SPLITS

MOST = 60
"""Recordings that tell a speaker's numbers at another speed: they are computed anew for each."""

LEAST_SHARE = 0.2
"""Of a feature's deviation as recorded: a voice that is played slower has nothing in the highest bands, which is not
blown up."""

AS_RECORDED = speed_step(1.0)


class SpeakerScalings:
    """One for each speaker and speed, computed where it is asked for first."""

    def __init__(self, numbers: Mapping[str, Sequence[int]], frames: Sequence[Features] | FeatureShelf,
                 sounds: Sounds | None = None, frontend: Frontend | None = None) -> None:
        self.numbers, self.frames, self.sounds, self.frontend = numbers, frames, sounds, frontend
        self._known: dict[tuple[str, int], Scaling] = {}

    def __call__(self, speaker: str, speed: float = 1.0) -> Scaling:
        """Of a speaker's frames at a speed.

        Args:
            speed: 1 is as recorded; others need the sounds.
        """
        key = (speaker, speed_step(speed))
        if key not in self._known:
            numbers = self.numbers[speaker]
            if key[1] == AS_RECORDED:
                self._known[key] = Scaling.of(np.concatenate([self.frames[i] for i in numbers]))
            else:
                found = Scaling.of(np.concatenate([self._at(i, speed) for i in evenly(numbers, MOST)]))
                least_D = LEAST_SHARE * self(speaker).deviation_D
                self._known[key] = Scaling(found.mean_D, np.maximum(found.deviation_D, least_D))
        return self._known[key]

    def _at(self, number: int, speed: float) -> Features:
        assert self.sounds is not None
        assert self.frontend is not None
        return self.frontend(at_least(at_speed(self.sounds.samples(number), speed), self.frontend.window))


def of_speakers(rows: Sequence[Recording], index: Mapping[str, Sequence[int]]) -> dict[str, list[int]]:
    """A speaker's training recordings; all that there are of one who is not trained on."""
    own: dict[str, list[int]] = {}
    for split in (("train",), SPLITS):
        known = set(own)
        for i in sorted({i for name in split for i in index.get(name, ())}):
            if rows[i].speaker not in known:
                own.setdefault(rows[i].speaker, []).append(i)
    return own


def evenly(numbers: Sequence[int], most: int) -> list[int]:
    """At most so many of them, from the first to the last."""
    if len(numbers) <= most:
        return list(numbers)
    return [numbers[place] for place in np.linspace(0, len(numbers) - 1, most).round().astype(int).tolist()]
