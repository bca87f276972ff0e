"""Everything random, set from one seed, saved into checkpoints, and put back from them."""

from __future__ import annotations

import os
import random
from typing import Any

import numpy as np
import torch


def set_up(seed: int, *, threads: int, deterministic: bool) -> None:
    """Seed every generator and fix what else changes bits. Warm worker processes call this before every trial."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.set_num_threads(threads)
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # deterministic cuBLAS, CUDA 10.2 and later
    torch.use_deterministic_algorithms(deterministic)
    # without this, each new tensor is first filled with NaN: 4 to 10% of a step
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False


def state() -> dict[str, Any]:
    """The generators' states as tensors and numbers only, so that `weights_only` loading takes them."""
    kind, keys, position, has_gauss, gauss = np.random.get_state()
    version, words, spare = random.getstate()
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "numpy": [
            str(kind),
            torch.from_numpy(np.asarray(keys).astype(np.int64)),
            int(position),
            int(has_gauss),
            float(gauss),
        ],
        "python": [version, list(words), spare],
    }


def restore(saved: dict[str, Any]) -> None:
    """Put the generators back as `state` found them."""
    torch.set_rng_state(saved["torch"])
    if saved["cuda"]:
        torch.cuda.set_rng_state_all(saved["cuda"])
    kind, keys, position, has_gauss, gauss = saved["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), position, has_gauss, gauss))
    version, words, spare = saved["python"]
    random.setstate((version, tuple(words), spare))
