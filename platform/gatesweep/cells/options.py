"""Options of a recurrent loop as functions from a cell to a cell. Equal options give the identical `Cell`.

    zoneout              a state keeps its old value where its mask says so          Krueger et al. 2017
    recurrent_dropout    "candidate": the candidate times a mask of every step       Semeniuta, Severyn & Barth 2016
                         "variational": h times one mask for all steps, where the
                         recurrent weights read it                                   Gal & Ghahramani 2016
    clip                 the cell state kept within ±bound before h is formed        Sak, Senior & Beaufays 2014
    cell_norm            h = o ⊙ tanh(LN(c) ⊙ gain + bias)                           Ba, Kiros & Hinton 2016, eq. 22

What draws the masks gives them as `unroll` takes them, in the order of `Cell.masks`: for `zoneout` one named as each
state, 1 (or, in evaluation, the probability) to keep the old value; for `recurrent_dropout` one named CANDIDATE or
VARIATIONAL, 0 or 1 / (1 - probability) (in evaluation, 1).

Zoneout first, then variational dropout, so that what is masked is the state that is carried.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

from gatesweep.cells.description import MASK, Cell, Step, Value, Values
from gatesweep.cells.expression import sorted_nodes, trace
from gatesweep.cells.names import own
from gatesweep.cells.places import BIAS, CANDIDATE, CLIP, GAIN

if TYPE_CHECKING:
    from torch import Tensor

VARIATIONAL = "variational"
MASKED = ".masked"


@cache
def zoneout(cell: Cell, states: tuple[str, ...], /) -> Cell:
    """s' = mask ⊙ s + (1 - mask) ⊙ s_new for each of `states`; what else the step makes of s_new sees it as it was.

    Raises:
        ValueError: a state that the cell does not have, or that variational dropout reads.
    """
    if any(name not in cell.states or name + MASKED in cell.states for name in states):
        raise ValueError(f"zoneout of {list(states)}: cell '{own(cell.name)}' carries {list(cell.states)}; it comes"
                         " before variational dropout")
    return replace(cell, name=f"{cell.name}+zoneout({','.join(states)})", step=_Zoneout(cell.step, states),
                   masks=cell.masks + states)


@cache
def recurrent_dropout(cell: Cell, kind: str, /) -> Cell:
    """The cell with dropout in its recurrence, of kind CANDIDATE or VARIATIONAL.

    Raises:
        ValueError: another kind, a cell without a candidate, or one whose recurrent weights do not read h alone.
    """
    if kind == CANDIDATE:
        return _changed(cell, replace(cell, name=f"{cell.name}+dropout(candidate)", masks=(*cell.masks, CANDIDATE)))
    h = cell.states[0]
    if kind != VARIATIONAL or cell.sources != (h,) or cell.inner is not None:
        raise ValueError(f"recurrent dropout '{kind}' of cell '{own(cell.name)}': it is '{CANDIDATE}', or"
                         f" '{VARIATIONAL}' for a cell whose recurrent weights read {h} alone")
    return replace(cell, name=f"{cell.name}+dropout(variational)", step=_Masked(cell.step, h), sources=(h + MASKED,),
                   states=(*cell.states, h + MASKED), masks=(*cell.masks, VARIATIONAL))


@cache
def clip(cell: Cell, bound: float, /) -> Cell:
    """The new cell state kept within ±`bound`.

    Raises:
        ValueError: a bound that is not above 0, or a cell without a cell state to clip.
    """
    if not bound > 0:
        raise ValueError(f"clip at {bound}: the bound must be above 0")
    return _changed(cell, replace(cell, name=f"{cell.name}+clip({bound:g})", step=_Given(cell.step, CLIP, bound)))


@cache
def cell_norm(cell: Cell, /) -> Cell:
    """The cell state normalised over its units where the output sees it; gain starts at 1, bias at 0.

    Raises:
        ValueError: a cell without a cell state, or one normalised already.
    """
    return _changed(cell, replace(cell, name=f"{cell.name}+cell_norm", vectors=(*cell.vectors, GAIN, BIAS),
                                  start={**cell.start, GAIN: 1.0, BIAS: 0.0}))


def visible_states(cell: Cell) -> tuple[str, ...]:
    """The states that are the cell's own: not the masked copy that variational dropout carries, which is the last."""
    return tuple(name for name in cell.states if not name.endswith(MASKED))


def complete(cell: Cell, state: tuple[Tensor, ...], masks: Tensor | None) -> tuple[Tensor, ...]:
    """The state to start from, one for each of `cell.states`, given the visible ones and `masks` of [T, M, B, H]."""
    if len(state) == len(cell.states) or masks is None:
        return state
    return *state, state[0] * masks[0, cell.masks.index(VARIATIONAL)]


@dataclass(frozen=True)
class _Zoneout:
    step: Step
    states: tuple[str, ...]

    def __call__(self, g: Values, s: Values, p: Values) -> Values:
        new = self.step(g, s, p)
        return {**new, **{name: new[name] + p[MASK + name] * (s[name] - new[name]) for name in self.states}}


@dataclass(frozen=True)
class _Masked:
    step: Step
    h: str

    def __call__(self, g: Values, s: Values, p: Values) -> Values:
        new = self.step(g, s, p)
        return {**new, self.h + MASKED: new[self.h] * p[MASK + VARIATIONAL]}


@dataclass(frozen=True)
class _Given:
    """A step that finds a number among its parameters."""

    step: Step
    name: str
    number: float

    def __call__(self, g: Values, s: Values, p: Values) -> Values:
        values: dict[str, Value] = {**p, self.name: self.number}  # type: ignore[dict-item]
        return self.step(g, s, values)


def _changed(before: Cell, after: Cell) -> Cell:
    """`after`, if its step has the place that the option needs."""
    if _size(before) == _size(after):
        raise ValueError(f"cell '{own(before.name)}' has no place for '{after.name.removeprefix(before.name + '+')}'")
    return after


def _size(cell: Cell) -> int:
    return len(sorted_nodes(*trace(cell).new.values()))
