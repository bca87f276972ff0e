"""Softmax cross-entropy of some rows of logits, and its gradient written over them.

    x = z + b - max(z + b)      s = Σ exp(x)      loss = log s - (1 - α) x_t - α mean(x)
    dz = f (exp(x) / s - α / V - (1 - α) [v = t])

One native pass (`softmax_rows.c`) where there is a compiler and the logits lie in a CPU's memory as float32 or
bfloat16; else the same as tensor operations. The two agree up to rounding.

Shape suffixes: C rows, V classes. t is a row's target, f the factor of its gradient, α the label smoothing.
"""

from __future__ import annotations

import ctypes
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gatesweep.cells.compiler import NoCompiler, library

SHARE = 1 << 16
"""Logits that are worth a thread of their own."""


def softmax_rows(
    logits_CV: Tensor, bias_V: Tensor | None, targets_C: Tensor, smoothing: float = 0.0, factor_C: Tensor | None = None
) -> Tensor:
    """The losses, `loss_C`; with factors, the logits are replaced by their gradients, else their values are lost.

    Args:
        bias_V: added to every row of logits.
        targets_C: classes in [0, V): whoever calls has checked it.

    Returns:
        In float32, or float64 where the logits are.
    """
    kernel = _kernel(logits_CV.dtype) if logits_CV.device.type == "cpu" and logits_CV.stride(1) == 1 else None
    run = _with_torch if kernel is None else kernel
    wide = torch.float64 if logits_CV.dtype == torch.float64 else torch.float32
    return run(
        logits_CV,
        None if bias_V is None else bias_V.to(wide).contiguous(),
        targets_C.to(torch.int64).contiguous(),
        smoothing,
        None if factor_C is None else factor_C.to(wide).contiguous(),
    )


def _with_torch(
    logits_CV: Tensor, bias_V: Tensor | None, targets_C: Tensor, smoothing: float, factor_C: Tensor | None
) -> Tensor:
    wide = torch.float64 if logits_CV.dtype == torch.float64 else torch.float32
    x_CV, t_C1 = logits_CV.to(wide), targets_C.unsqueeze(1)
    if bias_V is not None:
        x_CV.add_(bias_V)
    x_CV.sub_(x_CV.amax(1, keepdim=True))
    loss_C1 = x_CV.gather(1, t_C1).mul_(smoothing - 1)
    if smoothing > 0:
        loss_C1 -= smoothing * x_CV.mean(1, keepdim=True)
    s_C1 = x_CV.exp_().sum(1, keepdim=True)
    loss_C1 += s_C1.log()
    if factor_C is not None:
        f_C1 = factor_C.unsqueeze(1)
        x_CV.mul_(f_C1 / s_C1).sub_(f_C1 * (smoothing / x_CV.shape[1])).scatter_add_(1, t_C1, (smoothing - 1) * f_C1)
        if x_CV is not logits_CV:
            logits_CV.copy_(x_CV)
    return loss_C1.squeeze(1)


class _Native:
    """One entry of the library; rows are shared out among torch's threads, whose number changes no value."""

    def __init__(self, entry: Any) -> None:
        pointer, long = ctypes.c_void_p, ctypes.c_long
        entry.argtypes = [pointer, long, pointer, pointer, pointer, ctypes.c_float, long, long, pointer]
        entry.restype = ctypes.c_int
        self._entry = entry

    def __call__(
        self, logits_CV: Tensor, bias_V: Tensor | None, targets_C: Tensor, smoothing: float, factor_C: Tensor | None
    ) -> Tensor:
        (C, V), loss_C = logits_CV.shape, logits_CV.new_empty(len(logits_CV), dtype=torch.float32)

        def run(start: int, stop: int) -> int:
            status: int = self._entry(
                _row(logits_CV, start), logits_CV.stride(0), _row(bias_V, 0), _row(targets_C, start),
                _row(factor_C, start), smoothing, stop - start, V, _row(loss_C, start),
            )  # fmt: skip
            return status

        threads = max(1, min(torch.get_num_threads(), C, C * V // SHARE))
        edges = [C * k // threads for k in range(threads + 1)]
        if threads == 1:
            statuses = [run(0, C)]
        else:
            with ThreadPoolExecutor(threads) as pool:
                statuses = list(pool.map(run, edges, edges[1:]))
        if any(statuses):
            raise MemoryError(f"no memory for a row of {V} logits")
        return loss_C


def _row(x: Tensor | None, start: int) -> int | None:
    """The address of a row; the tensor is held by whoever calls."""
    return None if x is None else x.data_ptr() + start * x.stride(0) * x.element_size()


@lru_cache
def _kernel(dtype: torch.dtype) -> _Native | None:
    """The native pass for logits of this type, if there is one and a compiler for it."""
    entry = {torch.float32: "rows_f32", torch.bfloat16: "rows_bf16"}.get(dtype)
    if entry is None:
        return None
    try:
        return _Native(getattr(library(Path(__file__).with_suffix(".c").read_text(), "softmax-rows"), entry))
    except NoCompiler:
        return None
