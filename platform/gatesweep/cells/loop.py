"""The cell that a layer's loop runs: the named cell, with the options that its configuration asks for in it.

Options that change the step stand in `options.py`; those that change the weights' sizes are checked here. No torch: a
file is checked in an instant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from gatesweep.cells import chrono, options
from gatesweep.cells.description import Cell
from gatesweep.cells.expression import reads
from gatesweep.cells.names import check_backend, hinted, own, parted
from gatesweep.cells.places import CANDIDATE
from gatesweep.cells.variants import find

if TYPE_CHECKING:
    from gatesweep.cells.config import RecurrentConfig

DROPOUT_KINDS = {"semeniuta": CANDIDATE, "gal": options.VARIATIONAL}
IN_THE_LOOP = ("cell_clip", "layer_norm", "zoneout_h", "zoneout_c", "recurrent_dropout", "projection_size", "heads")
"""Options that change what the loop computes, so that torch's own kernels do not have them."""


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
            message, hint = parted(error)
            raise ValueError(hinted(f"{option}: {message}", hint or _way_out(option, config))) from None
    return cell


def _way_out(option: str, config: RecurrentConfig) -> str:
    """Every cell that has recurrent weights has one kind of recurrent dropout at least."""
    kinds = [kind for kind in DROPOUT_KINDS if kind != config.recurrent_dropout_kind]
    other = f", or take recurrent_dropout_kind {kinds[0]}" if option == "recurrent_dropout" else ""
    return f"leave {option} out{other}"


def check(config: RecurrentConfig) -> None:
    """Refuse what no equation gives.

    Raises:
        ValueError: says which option does not fit which cell, or which back end cannot run them together.
    """
    named, cell = find(config.cell, config.peepholes), looped(config, training=True)
    if config.chrono is not None:
        chrono.signs(named)
    if config.weight_drop > 0 and not named.recurrent:
        raise ValueError(hinted(f"weight_drop: cell '{config.cell}' has no recurrent weights", "leave weight_drop out"))
    for each in (named, cell):  # what the cell itself has no equation for is said before what options take away
        check_sizes(each, config.hidden_size, config.projection_size, config.layer_norm, config.heads)
    used = [name for name in IN_THE_LOOP if getattr(config, name) != type(config).model_fields[name].default]
    check_backend(config.cell, config.backend, config.peepholes, used)


def check_sizes(cell: Cell, hidden_size: int, projection: int | None, norm: bool, heads: int) -> None:
    """Refuse weights of sizes that no equation of this cell gives.

    Raises:
        ValueError: says which.
    """
    if projection is not None:
        _check_projection(cell, hidden_size, projection)
    if norm and (cell.inner or not cell.recurrent):
        lack = "no single recurrent half" if cell.recurrent else "no recurrent half"
        raise ValueError(hinted(f"layer_norm: cell '{own(cell.name)}' has {lack} to normalise", "leave layer_norm out"))
    if heads > 1:
        _check_heads(cell, hidden_size, heads, projection)


def _check_projection(cell: Cell, hidden_size: int, projection: int) -> None:
    h, drop = cell.states[0], "leave projection_size out"
    if not 0 < projection < hidden_size:
        raise ValueError(hinted(f"projection_size: {projection} must be above 0 and below the"
                                f" {hidden_size} hidden units", f"another projection_size or hidden_size, or {drop}"))
    if h + options.MASKED in cell.states:
        raise ValueError(hinted(f"projection_size: cell '{own(cell.name)}' cannot be projected where dropout masks"
                                f" {h}", f"{drop}, or take recurrent_dropout_kind semeniuta"))
    if h in cell.masks:
        raise ValueError(hinted(f"projection_size: cell '{own(cell.name)}' cannot be projected where zoneout keeps {h}",
                                f"{drop}, or zoneout_h"))
    if cell.sources != (h,) or h in reads(cell) or cell.inner:
        raise ValueError(hinted(f"projection_size: cell '{own(cell.name)}' cannot be projected: its equations use {h}"
                                " as wide as the other states", drop))


def _check_heads(cell: Cell, hidden_size: int, heads: int, projection: int | None) -> None:
    name, h, drop = own(cell.name), cell.states[0], "leave heads out"
    if not cell.recurrent:
        raise ValueError(hinted(f"heads: cell '{name}' has no recurrent weights for heads to divide", drop))
    if cell.feedback or cell.sources not in ((h,), (h + options.MASKED,)):
        read = ", ".join(name for name in cell.recurrent if name != h)
        raise ValueError(hinted(f"heads: cell '{name}' cannot have {heads} heads: its recurrent weights read {read}"
                                f" besides {h}", drop))
    if projection is not None:
        raise ValueError(hinted(f"heads: cell '{name}' cannot have {heads} heads with a projection: its recurrent"
                                f" weights read {projection} outputs, not the units", f"{drop}, or projection_size"))
    check_division(hidden_size, heads)


def check_division(hidden_size: int, heads: int) -> None:
    """Refuse heads of unequal size.

    Raises:
        ValueError: with the next numbers of heads that there may be.
    """
    if hidden_size % heads:
        fits = [n for n in range(1, hidden_size + 1) if hidden_size % n == 0]
        near = [*[n for n in fits if n < heads][-1:], *[n for n in fits if n > heads][:1]]
        raise ValueError(hinted(f"heads: {heads} heads do not divide {hidden_size} hidden units",
                                f"take {' or '.join(map(str, near))}"))


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
        raise ValueError(f"the scale of cell '{own(cell.name)}''s c changes with m at every step, so an old c cannot"
                         " stay")
    strangers = [name for name in states if name not in cell.states]
    if strangers:
        raise ValueError(f"cell '{own(cell.name)}' carries {', '.join(cell.states)} and no {', '.join(strangers)}")
    return options.zoneout(cell, states)
