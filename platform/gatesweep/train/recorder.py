"""What a training tells the outside. The tracker satisfies this without being imported here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Recorder(Protocol):
    """Takes the numbers of one run, epoch by epoch; must never make the training wait or die."""

    run_id: str
    """The run that the numbers belong to."""

    def epoch(self, epoch: int, metrics: Mapping[str, float], timestamp_ms: int) -> None:
        """Metrics of one finished epoch, counted from 1."""

    def close(self, outcome: str, reason: str | None = None) -> None:
        """The end: `completed`, `pruned`, `failed` or `stopped`."""
