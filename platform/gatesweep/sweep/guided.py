"""A search that first tries what the user names (`search.points`), and then goes its own way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gatesweep.sweep.admission import Admits, everything
from gatesweep.sweep.search import Known, Params, Searcher

POINT = "point"
"""In a proposal's memory: which of the user's points it is, from 1."""


class Guided:
    """The wrapped search takes each point over as if it had proposed it, and learns from what becomes of it."""

    admits: Admits = staticmethod(everything)  # points are held against the constraints before the sweep begins

    def __init__(self, search: Searcher, points: Sequence[Params]) -> None:
        self.search, self.points = search, points

    def inform(self, known: Sequence[Known]) -> None:
        self.search.inform(known)

    def propose(self, number: int) -> tuple[Params, dict[str, Any]] | None:
        if number >= len(self.points):
            return self.search.propose(number)
        params = dict(self.points[number])
        self.search.adopt(number, params, {})
        return params, {POINT: number + 1}

    def adopt(self, number: int, params: Params, memory: dict[str, Any]) -> None:
        self.search.adopt(number, params, {} if POINT in memory else memory)

    def observe(self, number: int, epoch: int, value: float) -> None:
        self.search.observe(number, epoch, value)

    def tell(self, number: int, values: Sequence[float] | None) -> None:
        self.search.tell(number, values)

    def reopen(self, number: int) -> None:
        self.search.reopen(number)
