"""The cells' names, for configuration: no torch, so that a file is checked in an instant."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

NAMES = ("vanilla", "peephole", "coupled", "nig", "nfg", "nog", "niaf", "noaf", "cifg", "fgr", "slstm", "minlstm",
         "mingru", "gru", "gru_before", "rnn")
ALIASES = {"np": "vanilla"}
MATRIX_CELLS = ("mlstm",)
"""Cells whose state is no vector of units: `matrix_layer.MatrixLSTM` runs them, `Cell` does not describe them."""

BACKENDS = ("auto", "native", "torch", "parallel", "fused", "triton", "reference")
TORCH_CELLS = ("vanilla", "gru", "rnn")
"""Cells whose equations torch has kernels for, as long as they have no peepholes."""

INNER_CELLS = ("gru_before",)
"""Cells with a recurrent product within the step: no back end runs them unit by unit."""

PARALLEL_CELLS = ("minlstm", "mingru", *MATRIX_CELLS)
"""Cells that run over all time steps at once: their gates see the input alone."""

WITH_PEEPHOLES = ("peephole", "nig", "nfg", "nog", "niaf", "noaf", "cifg", "fgr")
"""Cells that have peepholes unless they are taken away."""

_WITH_CELL_STATE = ("vanilla", "coupled", *WITH_PEEPHOLES)
_ELSEWHERE = {"lstm": "vanilla", "xlstm": "mlstm", "elman": "rnn", "peepholes": "peephole"}


def canonical(name: str) -> str:
    """The cell's own name: an alias is resolved.

    Raises:
        ValueError: no such cell; the message proposes the nearest.
    """
    resolved = ALIASES.get(name, name)
    if resolved in NAMES or resolved in MATRIX_CELLS:
        return resolved
    known = (*NAMES, *MATRIX_CELLS, *ALIASES)
    near = _ELSEWHERE.get(name.lower()) or next(iter(difflib.get_close_matches(name.lower(), known, n=1)), None)
    question = f"did you mean '{near}'?" if near else None
    raise ValueError(hinted(f"unknown cell '{name}'; one of {', '.join(known)}", question))


def check_peepholes(name: str, peepholes: bool | None) -> None:
    """Refuse `peepholes: true` on a cell that has no cell state to look at.

    Raises:
        ValueError: unknown name, or no cell state.
    """
    if peepholes and canonical(name) not in _WITH_CELL_STATE:
        raise ValueError(hinted(f"cell '{name}' has no cell state for peepholes to see",
                                f"leave peepholes out, or take {', '.join(_WITH_CELL_STATE)}"))


def check_backend(name: str, backend: str, peepholes: bool | None, options: Sequence[str] = ()) -> None:
    """Refuse a back end that does not exist, and one that cannot run the cell.

    Args:
        options: fields of `RecurrentConfig` that are in use and change what the loop computes.

    Raises:
        ValueError: says which back ends the cell has.
    """
    if backend not in BACKENDS:
        raise ValueError(unknown_backend(backend))
    peeping = peepholes if peepholes is not None else canonical(name) in WITH_PEEPHOLES
    if backend not in ("auto", *backends_of(name, peeping, options)):
        raise ValueError(cannot(name, backend, peeping, options))


def backends_of(name: str, peepholes: bool, options: Sequence[str] = ()) -> tuple[str, ...]:
    """The back ends that a cell has, with these options, on a machine that has all; of a cell of the user's own, those
    that any may have."""
    if name in MATRIX_CELLS:
        return ("parallel", "reference")
    if name in INNER_CELLS:
        return ("native", "reference")
    there = {"native", "reference"} | ({"parallel"} if name in PARALLEL_CELLS else set())
    there |= {"torch"} if not options and fits_torch(name, peepholes) else set()
    there |= set() if {"layer_norm", "projection_size"} & set(options) else {"fused", "triton"}
    return tuple(backend for backend in BACKENDS if backend in there)


def unknown_backend(backend: str) -> str:
    return f"unknown backend '{backend}': one of {', '.join(BACKENDS)}"


def cannot(name: str, backend: str, peepholes: bool, options: Sequence[str] = ()) -> str:
    """What to say of a back end that cannot run a cell."""
    cell, has = own(name), backends_of(own(name), peepholes, options)
    with_ = [*(["peepholes"] if peepholes and backend == "torch" else []), *options]
    asked = f"cell '{cell}'" + (f" with {', '.join(with_)}" if with_ else "")
    take = f"backend {', '.join(('auto', *has[:-1]))} or {has[-1]}"
    if backend == "torch":
        return hinted(f"torch has no kernel for {asked}", take)
    if backend == "parallel":
        others = [each for each in PARALLEL_CELLS if each != cell]
        return hinted(f"cell '{cell}' has no parallel form: its gates wait for h",
                      f"{take}; parallel runs {', '.join(others)}")
    if backend in has:
        return hinted(f"backend '{backend}' cannot run {asked} with these weights, of this type and on this device",
                      take)
    return hinted(f"backend '{backend}' cannot run {asked}: it has {' and '.join(has)} alone", take)


def fits_torch(name: str, peepholes: bool) -> bool:
    """Whether torch.nn's LSTM, GRU or RNN computes this cell; `peephole` with its peepholes off is `vanilla`."""
    resolved = ALIASES.get(name, name)
    return not peepholes and resolved in (*TORCH_CELLS, "peephole")


def own(name: str) -> str:
    """A cell's own name, where options have added theirs: vanilla of vanilla+zoneout(h)."""
    return name.partition("+")[0]


def hinted(message: str, hint: str | None) -> str:
    """The loader shows what follows `hint:` on a line of its own."""
    return f"{message}\n\nhint: {hint}" if hint else message


def parted(error: ValueError) -> tuple[str, str | None]:
    """(message, hint) of an error so worded."""
    message, _, hint = str(error).partition("\n\nhint: ")
    return message, hint or None
