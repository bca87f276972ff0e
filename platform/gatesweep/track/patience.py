"""When to ask a silent tracker again: after 1, 2, 4 … at most 30 s; one line when it goes, one when it is back."""

from __future__ import annotations

import time
from collections.abc import Callable


class Patience:
    """Counts failures of one tracker and says when the next attempt is due."""

    def __init__(self, say: Callable[[str], None], *, first_s: float = 1.0, longest_s: float = 30.0) -> None:
        self._say, self._first_s, self._longest_s = say, first_s, longest_s
        self._pause_s = 0.0
        self._due_s = 0.0
        self._away = False

    @property
    def away(self) -> bool:
        """Whether the last attempt failed."""
        return self._away

    @property
    def wait_s(self) -> float:
        """Seconds until the next attempt is due."""
        return max(0.0, self._due_s - time.monotonic())

    def failed(self, reason: str) -> None:
        """An attempt failed: said once per absence."""
        self._pause_s = min(self._longest_s, self._pause_s * 2 or self._first_s)
        self._due_s = time.monotonic() + self._pause_s
        if not self._away:
            self._away = True
            self._say(f"the tracker does not take values now ({reason}); training goes on, nothing is lost")

    def succeeded(self) -> None:
        """An attempt went through."""
        self._pause_s = self._due_s = 0.0
        if self._away:
            self._away = False
            self._say("the tracker answers again")
