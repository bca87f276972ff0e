"""Where a trial's weights come from, in a sweep whose trials copy each other (`scheduler: {name: pbt}`).

    t0005 after it copied t0001 after epoch 4:   t0001's values for epochs 1 to 4, then its own new ones

A trial begins an era whenever it copies another: its weights, and all that led to them, are the other's from then on.
Its own epochs before that belong to the era before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Stretch:
    """Epochs that were trained with the same values."""

    after_epoch: int
    number: int
    """The trial's, from which its seed follows."""

    params: Mapping[str, Any]


Line = tuple[Stretch, ...]
"""All that led to a trial's weights, oldest first."""


class Ancestry:
    """The lines of every trial of one sweep."""

    def __init__(self) -> None:
        self._eras: dict[str, list[tuple[int, Line]]] = {}

    def born(self, trial: str, number: int, params: Mapping[str, Any]) -> None:
        """A trial begins by itself."""
        self._eras[trial] = [(0, (Stretch(0, number, params),))]

    def copied(self, trial: str, donor: str, epoch: int, params: Mapping[str, Any]) -> None:
        """A trial goes on from the donor's weights after `epoch`, with new values."""
        number = self._eras[trial][0][1][0].number
        self._eras[trial].append((epoch, (*self.line(donor, epoch), Stretch(epoch, number, params))))

    def line(self, trial: str, epoch: int | None = None) -> Line:
        """What led to the trial's weights after `epoch`; none: to its newest."""
        eras = self._eras[trial]
        if epoch is None:
            return eras[-1][1]
        return next((line for after, line in reversed(eras) if after < epoch), eras[0][1])
