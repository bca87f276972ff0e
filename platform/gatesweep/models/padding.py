"""Sequences of unequal length in one batch: what is read, what is zeroed, which steps were a sequence's last.

Shape suffixes: T time steps, B batch, D inputs, O outputs, S steps of a past and of what follows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from gatesweep.cells.checks import check_input, check_lengths
from gatesweep.errors import ShapeError


def read(
    x_BTD: Tensor, lengths: Tensor | Sequence[int] | None, input_size: int, dtype: torch.dtype
) -> tuple[Tensor, Tensor | None]:
    """The input with padding as 0 (what it holds must not matter, not even a NaN), and `lengths_B` where they differ.

    Raises:
        ShapeError: not [B, T, input_size], an empty sequence, another dtype than the weights', lengths outside 1..T.
    """
    if x_BTD.dim() != 3:
        raise ShapeError(f"an encoder reads three dimensions (batch, time, inputs); this has {list(x_BTD.shape)}")
    check_input(x_BTD.transpose(0, 1), input_size, dtype)
    if lengths is None:
        return x_BTD, None
    B, T, _ = x_BTD.shape
    lengths_B = check_lengths(lengths, T, B, x_BTD.device)
    return zeroed(x_BTD, lengths_B), lengths_B


def alive(lengths_B: Tensor, T: int) -> Tensor:
    """[B, T]: true where a step is not padding."""
    return torch.arange(T, device=lengths_B.device) < lengths_B[:, None]


def zeroed(x_BTD: Tensor, lengths_B: Tensor | None) -> Tensor:
    """0 where a step is padding."""
    if lengths_B is None:
        return x_BTD
    return torch.where(alive(lengths_B, x_BTD.shape[1]).unsqueeze(2), x_BTD, 0.0)


def last(outputs_BTO: Tensor, lengths_B: Tensor | None) -> Tensor:
    """The output [B, O] of each sequence's last step."""
    if lengths_B is None:
        return outputs_BTO[:, -1]
    return outputs_BTO[torch.arange(len(outputs_BTO), device=outputs_BTO.device), lengths_B - 1]


def tail(x_BS: Tensor, count: int, dim: int, past: int, lengths_B: Tensor | None) -> Tensor:
    """The last `count` steps of each sequence, along `dim`.

    Args:
        x_BS: [B, …, S, …]: `past` steps, whose last ones are a sequence's own, then those of the batch.
        lengths_B: steps of the batch that are no padding.

    Returns:
        [B, …, count, …]; before what a sequence has of them stands what stood at the front.
    """
    S = x_BS.shape[dim]
    if lengths_B is None:
        return x_BS.narrow(dim, S - count, count)
    index_BC = (past + lengths_B)[:, None] - count + torch.arange(count, device=x_BS.device)
    shape = [len(x_BS)] + [1] * (x_BS.dim() - 1)
    shape[dim] = count
    size = [count if d == dim else n for d, n in enumerate(x_BS.shape)]
    return x_BS.gather(dim, index_BC.clamp_min(0).view(shape).expand(size))


def check_state(given: Any, expected: Any, place: str) -> None:
    """Refuse a state that is not nested tensors of these sizes; None is anything, -1 any number.

    Raises:
        ShapeError: says which tensor is wrong.
    """
    if expected is None:
        return
    if all(isinstance(n, int) for n in expected):
        fits = isinstance(given, Tensor) and len(given.shape) == len(expected)
        if not fits or any(n not in (-1, m) for n, m in zip(expected, given.shape, strict=True)):
            what = list(given.shape) if isinstance(given, Tensor) else type(given).__name__
            raise ShapeError(f"a tensor of the state is {what}, expected {list(expected)}", place=place,
                             hint="give back what this encoder gave, for the same sequences")
        return
    if not isinstance(given, tuple | list) or len(given) != len(expected):
        raise ShapeError(f"the state has {len(given) if isinstance(given, tuple | list) else 'no'} parts, expected "
                         f"{len(expected)}", place=place, hint="give back what this encoder gave")
    for part, sizes in zip(given, expected, strict=True):
        check_state(part, sizes, place)
