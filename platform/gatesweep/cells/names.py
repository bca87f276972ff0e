"""The cells' names, for configuration: no torch, so that a file is checked in an instant."""

from __future__ import annotations

import difflib

NAMES = ("vanilla", "peephole", "coupled", "nig", "nfg", "nog", "niaf", "noaf", "cifg", "fgr", "slstm", "minlstm",
         "mingru", "gru", "gru_before", "rnn")
ALIASES = {"np": "vanilla"}
MATRIX_CELLS = ("mlstm",)
"""Cells whose state is no vector of units: `matrix_layer.MatrixLSTM` runs them, `Cell` does not describe them."""

BACKENDS = ("auto", "native", "torch", "parallel", "fused", "reference")
TORCH_CELLS = ("vanilla", "gru", "rnn")
"""Cells whose equations torch has kernels for, as long as they have no peepholes."""

REFERENCE_CELLS = ("gru_before",)
"""Cells that the reference loop alone runs: a recurrent product within the step."""

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
    question = _hint(f"did you mean '{near}'?" if near else "")
    raise ValueError(f"unknown cell '{name}'; one of {', '.join(known)}{question}")


def check_peepholes(name: str, peepholes: bool | None) -> None:
    """Refuse `peepholes: true` on a cell that has no cell state to look at.

    Raises:
        ValueError: unknown name, or no cell state.
    """
    if peepholes and canonical(name) not in _WITH_CELL_STATE:
        raise ValueError(f"cell '{name}' has no cell state for peepholes to see"
                         + _hint(f"leave peepholes out, or take {', '.join(_WITH_CELL_STATE)}"))


def check_backend(name: str, backend: str, peepholes: bool | None) -> None:
    """Refuse a back end that does not exist, and one that cannot run the cell.

    Raises:
        ValueError: says which back ends the cell has.
    """
    if backend not in BACKENDS:
        raise ValueError(unknown_backend(backend))
    peeping = peepholes if peepholes is not None else canonical(name) in WITH_PEEPHOLES
    loopless = (*REFERENCE_CELLS, *MATRIX_CELLS)
    if (backend == "torch" and not fits_torch(name, peeping)) or (backend in ("fused", "native") and name in loopless) \
            or (backend == "parallel" and name not in PARALLEL_CELLS):
        raise ValueError(cannot(name, backend, peeping))


def unknown_backend(backend: str) -> str:
    return f"unknown backend '{backend}': one of {', '.join(BACKENDS)}"


def cannot(name: str, backend: str, peepholes: bool) -> str:
    """What to say of a back end that cannot run a cell."""
    if backend == "torch":
        return (f"torch has no kernel for cell '{name}'{' with peepholes' if peepholes else ''}"
                + _hint(f"backend auto, {'parallel' if name in MATRIX_CELLS else 'native, fused'} or reference"))
    if backend == "parallel":
        return (f"cell '{name}' has no parallel form: its gates wait for h"
                + _hint(f"backend auto, or one of the cells {', '.join(PARALLEL_CELLS)}"))
    return f"backend '{backend}' cannot run cell '{name}' as it is asked for" + _hint("backend auto or reference")


def fits_torch(name: str, peepholes: bool) -> bool:
    """Whether torch.nn's LSTM, GRU or RNN computes this cell; `peephole` with its peepholes off is `vanilla`."""
    resolved = canonical(name)
    return not peepholes and (resolved in TORCH_CELLS or resolved == "peephole")


def _hint(text: str) -> str:
    """The loader shows what follows `hint:` on a line of its own."""
    return f"\n\nhint: {text}" if text else ""
