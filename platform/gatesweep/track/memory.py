"""A recorder that keeps everything in memory: for notebooks, for tests, for training without a tracker."""

from __future__ import annotations

from collections.abc import Mapping


class MemoryRecorder:
    """Satisfies the training's `Recorder`. Read `metrics`, `values`, `outcome` afterwards."""

    def __init__(self, run_id: str = "memory") -> None:
        self.run_id = run_id
        self.metrics: dict[int, dict[str, float]] = {}
        """Metrics by epoch."""
        self.timestamps_ms: dict[int, int] = {}
        self.outcome: str | None = None
        self.reason: str | None = None

    def epoch(self, epoch: int, metrics: Mapping[str, float], timestamp_ms: int) -> None:
        """Keep one epoch; a second report of it adds to the first."""
        if self.outcome is not None:
            raise ValueError(f"epoch {epoch} reported after the run was closed as {self.outcome}")
        self.metrics.setdefault(epoch, {}).update(metrics)
        self.timestamps_ms[epoch] = timestamp_ms

    def close(self, outcome: str, reason: str | None = None) -> None:
        """The end."""
        self.outcome, self.reason = outcome, reason

    def values(self, key: str) -> list[float]:
        """One metric over the epochs that reported it."""
        return [values[key] for _, values in sorted(self.metrics.items()) if key in values]
