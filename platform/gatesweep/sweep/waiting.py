"""A cluster that has become too small for any trial: said, and waited for. Nothing is held meanwhile.

Ray places a trial whole or leaves it in its queue, so that a sweep whose nodes died stands still, and goes on by itself
once enough of them are back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from gatesweep.errors import ResourceError
from gatesweep.sweep.fitting import check_fits, nodes_of
from gatesweep.sweep.options import Resources

LOOK_S = 10.0


class Waiting:
    """Looks at the cluster now and then while trials wait and none runs."""

    def __init__(self, wanted: Resources, told: Callable[[], Iterable[Mapping[str, Any]]], say: Callable[[str], None],
                 clock: Callable[[], float] = time.monotonic) -> None:  # fmt: skip
        """`told`: what `ray.nodes()` says."""
        self.wanted, self.told, self.say, self.clock = wanted, told, say, clock
        self._next_s, self._said = clock() + LOOK_S, ""

    def look(self, states: Iterable[str]) -> None:
        """Say what is missing, once, and that it is there again.

        Args:
            states: Tune's of every trial.
        """
        if self.clock() < self._next_s:  # first: of a thousand trials the states are long to count
            return
        self._next_s, there = self.clock() + LOOK_S, set(states)
        if "RUNNING" in there or "PENDING" not in there:
            return
        try:
            check_fits(self.wanted, nodes_of(self.told()))
        except ResourceError as error:
            now = error.message
        else:
            now = ""
        if now and now != self._said:
            self.say(f"waiting for nodes: {now}")
        elif self._said and not now:
            self.say("the cluster has room again")
        self._said = now
