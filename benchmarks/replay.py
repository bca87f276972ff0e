"""Learning curves of real trainings, replayed: any configuration's curve, and a clock for workers side by side.

    curve(configuration)   inverse-distance mean of its three nearest neighbours, epoch by epoch, in the logarithm
    replay(…)              a search and its early stopping on W simulated workers, each epoch as long as any other

numpy alone, so that every contender's environment can import it.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

NEIGHBOURS = 3
Params = dict[str, Any]


class Contender(Protocol):
    """A search together with its schedule."""

    def suggest(self, number: int) -> Params:
        """The next configuration."""

    def goes_on(self, number: int, epoch: int, value: float) -> bool:
        """Told of an epoch: does the trial train on?"""

    def over(self, number: int, values: Sequence[float]) -> None:
        """The trial has ended, early or not, with one value an epoch."""


class Curves:
    """Trained configurations of one space, with a value for each epoch.

    Args:
        file: `{"space": {key: {kind: [low, high]}}, "tasks": {name: {"params": [[…]], "values": [[…]]}}}`.
    """

    def __init__(self, file: Path, task: str) -> None:
        told = json.loads(file.read_text())
        self.space: dict[str, tuple[str, float, float]] = {
            key: (kind, float(low), float(high)) for key, ((kind, (low, high)),) in
            ((key, tuple(each.items())) for key, each in told["space"].items())}  # fmt: skip
        self.points = np.array([self._unit(row) for row in told["tasks"][task]["params"]])
        self.values = np.log(np.array(told["tasks"][task]["values"], np.float64))
        best = self.values.min(1)
        self.best, self.median = float(best.min()), float(np.median(best))

    @property
    def epochs(self) -> int:
        """Of a whole training."""
        return int(self.values.shape[1])

    def __call__(self, params: Params) -> NDArray[np.float64]:
        """The curve of any configuration, one value an epoch."""
        distance = np.sqrt(((self.points - self._unit([params[key] for key in self.space])) ** 2).sum(1)) + 1e-9
        near = np.argsort(distance)[:NEIGHBOURS]
        weight = 1 / distance[near]
        return np.exp((self.values[near] * weight[:, None]).sum(0) / weight.sum())

    def regret(self, best: NDArray[np.float64]) -> NDArray[np.float64]:
        """0: the table's best; 1: the median training's best."""
        return (np.log(best) - self.best) / (self.median - self.best)

    def _unit(self, row: Sequence[float]) -> NDArray[np.float64]:
        unit = []
        for value, (kind, low, high) in zip(row, self.space.values(), strict=True):
            if kind.startswith("log"):
                value, low, high = np.log(value), np.log(low), np.log(high)
            unit.append((value - low) / (high - low))
        return np.array(unit)


def replay(contender: Contender, curves: Curves, *, epochs: int, workers: int) -> NDArray[np.float64]:
    """Spend so many epochs of training on so many workers.

    Returns:
        The best value so far after each of them.
    """
    best, found, started = np.inf, [], 0
    busy: list[tuple[float, int, int]] = []  # when its next epoch ends, the trial, that epoch
    known: dict[int, NDArray[np.float64]] = {}

    def begin(now: float) -> None:
        nonlocal started
        known[started] = curves(contender.suggest(started))
        heapq.heappush(busy, (now + 1.0, started, 1))
        started += 1

    for _ in range(workers):
        begin(0.0)
    while len(found) < epochs:
        now, number, epoch = heapq.heappop(busy)
        value = float(known[number][epoch - 1])
        best = min(best, value)
        found.append(best)
        goes_on = contender.goes_on(number, epoch, value)
        if goes_on and epoch < curves.epochs:
            heapq.heappush(busy, (now + 1.0, number, epoch + 1))
        else:
            contender.over(number, [float(each) for each in known[number][:epoch]])
            begin(now)
    return np.array(found)
