"""Where things stand in the buffers of the loops.

Letters: T steps, B sequences, N rows: one for each step of each sequence; K pre-activations times H.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from gatesweep.cells.description import RECURRENT, Cell
from gatesweep.cells.expression import trace


@lru_cache
def layout(cell: Cell) -> tuple[str, ...]:
    """The pre-activations in the order of the loops' columns.

    Those with an input half alone stand first, those with a recurrent half alone last: what the inputs feed and what
    the states feed is one run of columns each.
    """
    both = tuple(gate for gate in cell.gates if gate not in cell.apart)
    return cell.apart + both + tuple(gate + RECURRENT for gate in cell.apart)


@lru_cache
def inner_columns(cell: Cell) -> tuple[int, ...]:
    """The columns whose recurrent weights read what `Cell.inner` gives."""
    return tuple(sorted(layout(cell).index(gate) for gate in trace(cell).inner))


@lru_cache
def pairs(cell: Cell) -> tuple[tuple[int, int], ...]:
    """(column, state) wherever a pre-activation reads a state through recurrent weights, ordered by column."""
    found, others = [], (*cell.apart, *(layout(cell)[k] for k in inner_columns(cell)))
    for k, name in enumerate(layout(cell)):
        gate = name.removesuffix(RECURRENT)
        if name not in others:
            read = cell.recurrent if gate in cell.feedback else cell.sources
            found += [(k, cell.states.index(state)) for state in read]
    return tuple(found)


@dataclass(frozen=True)
class Steps:
    """Which sequences have which step, the longest first: their rows stand step after step."""

    running_T: Tensor
    """How many have step t, int64."""

    offset_T: Tensor
    """The row of step t's first sequence, int64."""

    batch: int
    same: bool
    """Whether all have all steps."""

    @classmethod
    @lru_cache(256)  # asked for anew by every pass
    def uniform(cls, T: int, B: int) -> Steps:
        """All of one length."""
        return cls(torch.full((T,), B), torch.arange(0, T * B, B), B, True)

    @classmethod
    def of(cls, lengths_B: Tensor) -> Steps:
        """From lengths, the longest first."""
        running_T = (torch.arange(int(lengths_B[0]))[:, None] < lengths_B).sum(1)
        return cls(running_T, running_T.cumsum(0) - running_T, len(lengths_B), bool(lengths_B[-1] == lengths_B[0]))

    def before(self, states: Tensor) -> Tensor:
        """Each row's state before its step, [N, H], from a buffer [B + N, H]."""
        if self.same:
            return states[: -self.batch]
        t_N = torch.repeat_interleave(torch.arange(len(self.running_T)), self.running_T)
        b_N = torch.arange(len(t_N)) - self.offset_T[t_N]
        return states[torch.where(t_N == 0, b_N, self.batch + self.offset_T[t_N - 1] + b_N)]

    def last(self, states: Tensor) -> Tensor:
        """Each sequence's state after its last step, [B, H]."""
        if self.same:
            return states[-self.batch :]
        lengths_B = (torch.arange(self.batch)[:, None] < self.running_T).sum(1)
        return states[self.batch + self.offset_T[lengths_B - 1] + torch.arange(self.batch)]
