"""A linear layer and its cross-entropy, chunk by chunk, and the autograd functions on top.

Of each chunk of tokens, one product gives the logits, one pass (`softmax_rows.py`) turns them into losses and, in their
place, into the gradient of the logits, and two more products use that up at once:

    z = h Wᵀ        loss, dz = softmax_rows(z + b, t)        dh = dz W        [dW | db] += dzᵀ [h | 1]

so the gradients exist when the forward pass ends, and backward only scales them by the gradient of the sum (the idea of
Hsu et al. 2024, "Liger Kernel"). Where nothing is to be differentiated, only z and the losses are computed.

Shape suffixes: N tokens, D features, V vocabulary, C tokens of a chunk, F = D and a one where there is a bias, P = F
rounded up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from gatesweep.errors import UserError
from gatesweep.models.softmax_rows import softmax_rows

CHUNK_BYTES = 10 << 20
"""What a chunk's logits take: the fastest of 2.5 to 20 MB, few enough to stay in a processor's last cache."""

SMALLEST_CHUNK = 128
"""Rows below which a product waits for the weights to come from memory."""

ALIGNMENT = 16
"""Columns: rows of dW that start on a cache line make its product up to 1.5 times as fast."""


@dataclass(frozen=True)
class LogitChunks:
    """How the chunks are worked through."""

    smoothing: float
    chunk: int
    dtype: torch.dtype
    device: str

    def run(
        self, h_ND: Tensor, weight_VD: Tensor, bias_V: Tensor | None, targets_N: Tensor,
        factor_N: Tensor | None = None, wanted: tuple[bool, bool, bool] = (False, False, False),
    ) -> tuple[Tensor, Tensor | None, Tensor | None, Tensor | None]:  # fmt: skip
        """`loss_N`; with factors the gradients of Σ factor loss: dh_ND, dW_VP (may be wider than W), db_V if wanted."""
        with torch.autocast(self.device, enabled=False):
            w_VD, (N, D), V = weight_VD.to(self.dtype), h_ND.shape, len(weight_VD)
            wide = torch.float64 if self.dtype == torch.float64 else torch.float32
            loss_N, buffer_CV = h_ND.new_empty(N, dtype=wide), w_VD.new_empty(min(self.chunk, N), V)
            dh_ND = torch.empty_like(h_ND, memory_format=torch.contiguous_format) if wanted[0] else None
            F = D + wanted[2]
            made = w_VD.new_empty if N else w_VD.new_zeros
            dw_VP = made(V, -(-F // ALIGNMENT) * ALIGNMENT, dtype=wide) if wanted[1] else None
            db_V = w_VD.new_zeros(V, dtype=wide) if wanted[2] and dw_VP is None else None
            for start in range(0, N, self.chunk):
                rows = slice(start, min(start + self.chunk, N))
                h_CD, z_CV = h_ND[rows].to(self.dtype), buffer_CV[: rows.stop - start]
                torch.mm(h_CD, w_VD.t(), out=z_CV)
                factor_C = None if factor_N is None else factor_N[rows]
                loss_N[rows] = softmax_rows(z_CV, bias_V, targets_N[rows], self.smoothing, factor_C)
                if dh_ND is not None:
                    dh_ND[rows] = z_CV @ w_VD
                if dw_VP is not None:
                    h_CF = functional.pad(h_CD, (0, F - D), value=1.0)
                    _add_product(dw_VP[:, :F], z_CV, h_CF, first=start == 0)
                elif db_V is not None:
                    db_V += z_CV.sum(0, dtype=wide)
        if dw_VP is not None and wanted[2]:
            db_V = dw_VP[:, D].contiguous()
        return loss_N, dh_ND, dw_VP, db_V


def _add_product(dw_VF: Tensor, z_CV: Tensor, h_CF: Tensor, *, first: bool) -> None:
    """dW += dzᵀ h; the first product is written over whatever stood there."""
    if z_CV.dtype == dw_VF.dtype:
        dw_VF.addmm_(z_CV.t(), h_CF, beta=0 if first else 1)
    elif first:
        dw_VF.copy_(z_CV.t() @ h_CF)
    else:
        dw_VF += z_CV.t() @ h_CF


class SumOfLosses(torch.autograd.Function):
    """Σ loss. The gradients are ready after forward; backward hands them out, and a second computes them again."""

    @staticmethod
    def forward(
        ctx: Any, work: LogitChunks, h_ND: Tensor, weight_VD: Tensor, bias_V: Tensor | None, targets_N: Tensor
    ) -> Tensor:
        ctx.work, ctx.wanted = work, tuple(ctx.needs_input_grad[1:4])
        ctx.save_for_backward(h_ND, weight_VD, bias_V, targets_N)
        ones_N = h_ND.new_ones(len(h_ND))
        loss_N, *ctx.gradients = work.run(h_ND, weight_VD, bias_V, targets_N, ones_N, ctx.wanted)
        ctx.kinds = [None if x is None else (x.dtype, x.shape[-1]) for x in (h_ND, weight_VD, bias_V)]
        return summed(loss_N)

    @staticmethod
    def backward(ctx: Any, dtotal: Tensor) -> tuple[Tensor | None, ...]:
        _refuse_create_graph()
        gradients, ctx.gradients = ctx.gradients, None
        if gradients is None:
            tensors = ctx.saved_tensors
            ones_N = tensors[0].new_ones(len(tensors[0]))
            _, *gradients = ctx.work.run(*tensors, ones_N, ctx.wanted)
        return None, *_finished(gradients, ctx.kinds, dtotal), None


class LossOfRows(torch.autograd.Function):
    """The loss of every token. Backward goes through the chunks again, each row with a factor of its own."""

    @staticmethod
    def forward(
        ctx: Any, work: LogitChunks, h_ND: Tensor, weight_VD: Tensor, bias_V: Tensor | None, targets_N: Tensor
    ) -> Tensor:
        ctx.work = work
        ctx.save_for_backward(h_ND, weight_VD, bias_V, targets_N)
        return work.run(h_ND, weight_VD, bias_V, targets_N)[0]

    @staticmethod
    def backward(ctx: Any, dloss_N: Tensor) -> tuple[Tensor | None, ...]:
        _refuse_create_graph()
        tensors = ctx.saved_tensors
        kinds = [None if x is None else (x.dtype, x.shape[-1]) for x in tensors[:3]]
        _, *gradients = ctx.work.run(*tensors, dloss_N, tuple(ctx.needs_input_grad[1:4]))
        return None, *_finished(gradients, kinds, None), None


def _refuse_create_graph() -> None:
    """Not left to `once_differentiable`: that lets the gradient of a plain sum pass for a constant, silently."""
    if torch.is_grad_enabled():
        raise UserError(
            "linear_cross_entropy can be differentiated once; this backward was asked for a graph of its own",
            hint="leave out create_graph=True, or take F.cross_entropy(F.linear(h, weight, bias), targets)",
        )


def summed(loss_N: Tensor) -> Tensor:
    """The sum of many float32 keeps its digits only in float64."""
    return loss_N.sum(dtype=torch.float64).to(loss_N.dtype)


def _finished(gradients: list[Tensor | None], kinds: list[Any], factor: Tensor | None) -> list[Tensor | None]:
    """The gradients times the factor, in the inputs' dtypes and widths, in their own memory where that goes."""
    done: list[Tensor | None] = []
    for x, kind in zip(gradients, kinds, strict=True):
        if x is None:
            done.append(None)
            continue
        dtype, width = kind
        if factor is not None:
            x.mul_(factor)
        done.append((x if x.shape[-1] == width else _narrowed(x, width)).to(dtype))
    return done


def _narrowed(x_VP: Tensor, width: int) -> Tensor:
    """The first columns, contiguous, in the same memory: rows move forward block by block, never over unread ones."""
    V, flat = len(x_VP), x_VP.view(-1)
    for start in range(0, V, SMALLEST_CHUNK):
        block = x_VP[start : start + SMALLEST_CHUNK, :width].clone(memory_format=torch.contiguous_format)
        flat[start * width : start * width + block.numel()] = block.view(-1)
    return flat[: V * width].view(V, width)


def rows_at_once(N: int, V: int, dtype: torch.dtype, chunk: int | None = None) -> int:
    """Tokens of a chunk, at most `chunk`: chunks of one size, as near as can be, since a short one would be slow."""
    most = max(SMALLEST_CHUNK, CHUNK_BYTES // (V * dtype.itemsize)) if chunk is None else chunk
    return math.ceil(N / math.ceil(N / most)) if N else 1
