"""The cells' names, for configuration: no torch, so that a file is checked in an instant."""

from __future__ import annotations

import difflib

NAMES = ("vanilla", "peephole", "coupled", "gru", "rnn")
ALIASES = {"np": "vanilla"}
BACKENDS = ("auto", "torch", "fused", "reference")
TORCH_CELLS = ("vanilla", "gru", "rnn")
"""Cells whose equations torch has kernels for, as long as they have no peepholes."""

_WITH_CELL_STATE = ("vanilla", "peephole", "coupled")
_ELSEWHERE = {"lstm": "vanilla", "cifg": "coupled", "elman": "rnn", "peepholes": "peephole"}


def canonical(name: str) -> str:
    """The cell's own name: an alias is resolved.

    Raises:
        ValueError: no such cell; the message proposes the nearest.
    """
    resolved = ALIASES.get(name, name)
    if resolved in NAMES:
        return resolved
    known = (*NAMES, *ALIASES)
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
    """Refuse a back end that does not exist, and torch's for equations that torch has no kernel for.

    Raises:
        ValueError: says which back ends the cell has.
    """
    if backend not in BACKENDS:
        raise ValueError(f"unknown backend '{backend}': one of {', '.join(BACKENDS)}")
    peeping = peepholes if peepholes is not None else canonical(name) == "peephole"
    if backend == "torch" and not fits_torch(name, peeping):
        raise ValueError(f"torch has no kernel for cell '{name}'{' with peepholes' if peeping else ''}"
                         + _hint("backend auto, fused or reference"))


def fits_torch(name: str, peepholes: bool) -> bool:
    """Whether torch.nn's LSTM, GRU or RNN computes this cell; `peephole` with its peepholes off is `vanilla`."""
    resolved = canonical(name)
    return not peepholes and (resolved in TORCH_CELLS or resolved == "peephole")


def _hint(text: str) -> str:
    """The loader shows what follows `hint:` on a line of its own."""
    return f"\n\nhint: {text}" if text else ""
