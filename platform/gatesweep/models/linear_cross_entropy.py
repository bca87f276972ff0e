"""A linear layer and its cross-entropy over a large vocabulary, without the logits of all tokens at once.

    loss = cross_entropy(h Wᵀ + b, targets)

`nn.Linear` and `cross_entropy` hold several tensors [N, V], values and gradients; here one chunk of them lives at a
time (`logit_chunks.py`), so that memory is that of a chunk and of the gradients, whatever N is.

Float32 and float64 are computed as such. Lower precisions (inputs, or autocast) run their products in that precision
where the processor has instructions for bfloat16, else in float32; losses and the gradients of W and b are summed in
float32 either way.

Shape suffixes: N tokens, M tokens that count, D features, V vocabulary.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from gatesweep.cells.compiler import processor
from gatesweep.errors import ConfigError, DataError, ShapeError
from gatesweep.models.logit_chunks import LogitChunks, LossOfRows, SumOfLosses, rows_at_once, summed

INTEGERS = (torch.int64, torch.int32)
Reduction = Literal["mean", "sum", "none"]


def linear_cross_entropy(
    h_ND: Tensor,
    weight_VD: Tensor,
    targets_N: Tensor,
    bias_V: Tensor | None = None,
    *,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: Reduction = "mean",
    chunk: int | None = None,
) -> Tensor:
    """`cross_entropy(linear(h, weight, bias), targets)`, once differentiable, without logits [N, V].

    Args:
        targets_N: classes in [0, V), or `ignore_index`: no work is done on such a token.
        chunk: tokens worked on at once; none chooses by V.

    Returns:
        Float32 (float64 where h is): a number, or `loss_N` with 0 at ignored tokens for "none", whose backward computes
        the logits again, as each token's gradient has a factor of its own. The mean of no token at all is NaN.

    Raises:
        ShapeError: sizes or dtypes that do not fit together.
        DataError: a target outside the vocabulary.
        ConfigError: a smoothing, reduction or chunk that there is not.
        UserError: its backward runs with `create_graph=True`.
    """
    _check(h_ND, weight_VD, targets_N, bias_V, label_smoothing, reduction, chunk)
    kept_M = _kept(targets_N, len(weight_VD), ignore_index)
    N, M = len(h_ND), len(kept_M)
    if M < N:
        h_ND, targets_N = h_ND.index_select(0, kept_M), targets_N.index_select(0, kept_M)
    dtype = _arithmetic(h_ND)
    chunk = rows_at_once(M, len(weight_VD), dtype, chunk)
    work = LogitChunks(label_smoothing, chunk, dtype, h_ND.device.type)
    tensors = (h_ND, weight_VD, bias_V, targets_N)
    differentiated = torch.is_grad_enabled() and any(x is not None and x.requires_grad for x in tensors)
    if reduction == "none":
        loss_M = LossOfRows.apply(work, *tensors) if differentiated else work.run(*tensors)[0]
        return loss_M if M == N else loss_M.new_zeros(N).index_copy(0, kept_M, loss_M)
    total: Tensor = SumOfLosses.apply(work, *tensors) if differentiated else summed(work.run(*tensors)[0])
    if reduction == "sum":
        return total
    return total / M if M else total + math.nan


def loss_and_count(
    h_ND: Tensor, weight_VD: Tensor, targets_N: Tensor, bias_V: Tensor | None = None, *, ignore_index: int = -100
) -> tuple[Tensor, int]:
    """The summed loss and the number of tokens it counts: perplexity is exp of their quotient over all batches."""
    count = int((targets_N != ignore_index).sum())
    total = linear_cross_entropy(h_ND, weight_VD, targets_N, bias_V, ignore_index=ignore_index, reduction="sum")
    return total, count


def _arithmetic(h_ND: Tensor) -> torch.dtype:
    """What the products are computed in."""
    asked, device = h_ND.dtype, h_ND.device.type
    if asked == torch.float64:
        return asked
    if torch.is_autocast_enabled(device):
        asked = torch.get_autocast_dtype(device)
    fast = device != "cpu" or (asked == torch.bfloat16 and "bf16" in processor())
    return asked if fast else torch.float32


def _kept(targets_N: Tensor, V: int, ignore_index: int) -> Tensor:
    """Places of the tokens that count.

    Raises:
        DataError: a target outside the vocabulary.
    """
    kept_N = targets_N != ignore_index
    wrong_M = (kept_N & ((targets_N < 0) | (targets_N >= V))).nonzero()
    if len(wrong_M):
        place = int(wrong_M[0, 0])
        raise DataError(
            f"target {int(targets_N[place])} is outside the vocabulary of {V}",
            place=f"targets[{place}]",
            hint=f"classes run from 0 to {V - 1}; ignore_index={ignore_index} marks tokens that do not count",
        )
    return kept_N.nonzero().squeeze(1)


def _check(
    h_ND: Tensor, weight_VD: Tensor, targets_N: Tensor, bias_V: Tensor | None,
    label_smoothing: float, reduction: str, chunk: int | None,
) -> None:  # fmt: skip
    sizes = {"h": list(h_ND.shape), "weight": list(weight_VD.shape), "targets": list(targets_N.shape)}
    sizes |= {} if bias_V is None else {"bias": list(bias_V.shape)}
    fits = h_ND.dim() == weight_VD.dim() == 2 and h_ND.shape[1] == weight_VD.shape[1] and len(weight_VD) > 0
    if not (fits and targets_N.shape == h_ND.shape[:1] and (bias_V is None or bias_V.shape == weight_VD.shape[:1])):
        raise ShapeError(f"{sizes} do not fit together", hint="h [N, D], weight [V, D], targets [N], bias [V] or none")
    floats = [x.dtype for x in (h_ND, weight_VD, bias_V) if x is not None]
    mixed = len(set(floats)) > 1 and (torch.float64 in floats or not torch.is_autocast_enabled(h_ND.device.type))
    if mixed or not all(dtype.is_floating_point for dtype in floats) or targets_N.dtype not in INTEGERS:
        raise ShapeError(
            f"dtypes {[str(x) for x in floats]} with targets in {targets_N.dtype} do not fit together",
            hint="h, weight and bias in one floating dtype (autocast may mix), targets in int64 or int32",
        )
    if not 0 <= label_smoothing <= 1:
        raise ConfigError(f"label_smoothing {label_smoothing} is not in [0, 1]")
    if reduction not in ("mean", "sum", "none"):
        raise ConfigError(f"unknown reduction '{reduction}'", hint="mean, sum or none")
    if chunk is not None and chunk < 1:
        raise ConfigError(f"chunk {chunk} is not a number of tokens", hint="a positive number, or none")
