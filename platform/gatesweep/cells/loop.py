"""The cell that a layer's loop runs: the named cell, with the options that its configuration asks for in it.

Options that change the step stand in `options.py`; those that change the weights' sizes are checked here. No torch: a
file is checked in an instant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from gatesweep.cells import chrono, options
from gatesweep.cells.description import Cell
from gatesweep.cells.expression import by_unit, reads
from gatesweep.cells.names import cannot, check_backend
from gatesweep.cells.places import CANDIDATE
from gatesweep.cells.variants import find

if TYPE_CHECKING:
    from gatesweep.cells.config import RecurrentConfig

DROPOUT_KINDS = {"semeniuta": CANDIDATE, "gal": options.VARIATIONAL}


def looped(config: RecurrentConfig, *, training: bool) -> Cell:
    """The cell with its options; out of training recurrent dropout is the identity, so it is left out.

    Raises:
        ValueError: an option that has no meaning for the cell; the message starts with the option's name.
    """
    cell = find(config.cell, config.peepholes)
    for option, change in _changes(config, training):
        try:
            cell = change(cell)
        except ValueError as error:
            raise ValueError(f"{option}: {error}") from None
    return cell


def check(config: RecurrentConfig) -> None:
    """Refuse what no equation gives.

    Raises:
        ValueError: says which option does not fit which cell, or which back end cannot run them together.
    """
    named, cell = find(config.cell, config.peepholes), looped(config, training=True)
    if config.chrono is not None:
        chrono.signs(named)
    if config.weight_drop > 0 and not named.recurrent:
        raise ValueError(f"weight_drop: cell '{config.cell}' has no recurrent weights\n\nhint: leave weight_drop out")
    check_sizes(cell, config.hidden_size, config.projection_size, config.layer_norm, config.heads)
    check_backend(config.cell, config.backend, config.peepholes)
    resized = config.projection_size is not None or config.layer_norm
    if (config.backend == "torch" and (cell is not named or resized or config.heads > 1)) or (
        config.backend == "fused" and (resized or not by_unit(cell))
    ):
        raise ValueError(cannot(cell.name, config.backend, bool(cell.peepholes)))


def check_sizes(cell: Cell, hidden_size: int, projection: int | None, norm: bool, heads: int) -> None:
    """Refuse weights of sizes that no equation of this cell gives.

    Raises:
        ValueError: says which.
    """
    h = cell.states[0]
    if projection is not None and not 0 < projection < hidden_size:
        raise ValueError(f"a projection to {projection} outputs: from {hidden_size} units it must be 1 to"
                         f" {hidden_size - 1}")
    if projection is not None and (cell.sources != (h,) or h in reads(cell) or cell.inner):
        raise ValueError(f"cell '{cell.name}' cannot be projected: its equations use {h} as wide as the other states")
    if norm and (cell.inner or not cell.recurrent):
        raise ValueError(f"cell '{cell.name}' has no single recurrent half to normalise")
    if heads > 1 and (cell.sources not in ((h,), (h + options.MASKED,)) or cell.feedback or projection
                      or hidden_size % heads):  # fmt: skip
        raise ValueError(f"cell '{cell.name}' with {hidden_size} units cannot have {heads} heads: they divide the"
                         f" units, and only {h}, not projected, is read by recurrent weights")


def _changes(config: RecurrentConfig, training: bool) -> Iterator[tuple[str, Callable[[Cell], Cell]]]:
    """What each option makes of a cell, in the order in which they go together, by the option's name."""
    bound, kept = config.cell_clip, (("h", config.zoneout_h), ("c", config.zoneout_c))
    if bound is not None:
        yield "cell_clip", lambda cell: options.clip(cell, bound)
    if config.layer_norm:
        yield "layer_norm", _normed
    zoned = tuple(name for name, p in kept if p > 0)
    if zoned:
        yield " and ".join(f"zoneout_{name}" for name in zoned), lambda cell: _zoned(cell, zoned)
    if training and config.recurrent_dropout > 0:
        kind = DROPOUT_KINDS[config.recurrent_dropout_kind]
        yield "recurrent_dropout", lambda cell: options.recurrent_dropout(cell, kind)


def _normed(cell: Cell) -> Cell:
    """Cells without a cell state that an output gate squashes have nothing to normalise but their pre-activations."""
    return options.cell_norm(cell) if "c" in cell.states and "m" not in cell.states else cell


def _zoned(cell: Cell, states: tuple[str, ...]) -> Cell:
    if "c" in states and "m" in cell.states:
        raise ValueError(f"the scale of cell '{cell.name}''s c changes with m at every step, so an old c cannot stay")
    strangers = [name for name in states if name not in cell.states]
    if strangers:
        raise ValueError(f"cell '{cell.name}' carries {', '.join(cell.states)} and no {', '.join(strangers)}")
    return options.zoneout(cell, states)
