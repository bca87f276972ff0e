"""What a recurrent layer refuses before it computes anything: wrong sizes, wrong dtypes, sequences without a step.

Shape suffixes: T time steps, B batch, D inputs, H hidden units, N layers times directions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from gatesweep.errors import ShapeError


def check_input(x_TBD: Tensor, input_size: int, dtype: torch.dtype) -> None:
    """Refuse an input that is not [T, B, input_size], is empty, or has another dtype than the weights.

    Raises:
        ShapeError: says what was expected and what came.
    """
    if x_TBD.dim() != 3:
        raise ShapeError("a recurrent layer reads three dimensions (time, batch, inputs), or two of a sequence alone "
                         f"(time, inputs); this has {_size(x_TBD)}")
    T, B, D = x_TBD.shape
    if input_size != D:
        raise ShapeError(f"the layer was made for {input_size} inputs a step, this has {D}",
                         hint="a batch-first tensor needs batch_first=True" if input_size in (T, B) else None)
    if T == 0 or B == 0:
        raise ShapeError(f"an empty sequence: {T} time steps, {B} in the batch; each must be at least 1")
    _check_dtype(x_TBD, dtype, "the input")


def check_state(state: Sequence[Tensor], sizes: Mapping[str, tuple[int, int, int]], dtype: torch.dtype) -> None:
    """Refuse an initial state that is not one [layers * directions, B, H] tensor for each of the cell's states, or has
    another dtype than the weights. (Native loops read memory as what the weights are.)

    Args:
        sizes: what each should be, by the states' names; H is the projection's size where h is projected.

    Raises:
        ShapeError: says which tensor is wrong.
    """
    if len(state) != len(sizes):
        raise ShapeError(f"the state has {len(state)} tensors, this cell carries {len(sizes)}: {', '.join(sizes)}")
    for (name, size_NBH), tensor in zip(sizes.items(), state, strict=True):
        if tuple(tensor.shape) != size_NBH:
            raise ShapeError(f"initial {name} is {_size(tensor)}, expected {list(size_NBH)} "
                             "(layers * directions, batch, hidden units)")
        _check_dtype(tensor, dtype, f"initial {name}")


def check_lengths(lengths: Tensor | Sequence[int], T: int, B: int, device: torch.device) -> Tensor:
    """The lengths as an int64 [B] tensor on `device`.

    Raises:
        ShapeError: not one length per sequence, or one outside 1..T.
    """
    lengths_B = torch.as_tensor(lengths)
    if lengths_B.shape != (B,) or lengths_B.is_floating_point():
        raise ShapeError(f"lengths must be {B} integers, one for each sequence in the batch; "
                         f"this is {_size(lengths_B)} {lengths_B.dtype}")
    shortest, longest = int(lengths_B.min()), int(lengths_B.max())
    if shortest < 1 or longest > T:
        raise ShapeError(f"lengths run from {shortest} to {longest}; the batch holds 1 to {T} steps",
                         hint="leave sequences without a step out of the batch" if shortest < 1 else None)
    return lengths_B.to(device=device, dtype=torch.int64)


def _check_dtype(tensor: Tensor, dtype: torch.dtype, what: str) -> None:
    autocast = torch.is_autocast_enabled(tensor.device.type)
    if tensor.dtype != dtype and not (autocast and tensor.is_floating_point()):
        raise ShapeError(f"{what} is {tensor.dtype}, the layer's weights are {dtype}", hint=f"x.to({dtype})")


def _size(tensor: Tensor) -> list[int]:
    return list(tensor.shape)
