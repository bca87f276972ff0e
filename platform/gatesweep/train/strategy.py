"""Data parallelism: every worker has the model and a share of each batch; one sum of gradients makes their step one.

    ∇ = Σ_r  n_r / n · ∇ℓ_r        ℓ_r: the mean loss over the n_r things (windows, words, frames) of worker r's rows
                                   n = Σ_r n_r, so that ∇ is the gradient of the mean over the whole batch

So the batch is the one that a single worker would have taken, and so is the step, up to the order of a sum of floats.
To Lightning each worker is alone on its device. Its own way, torch's DistributedDataParallel, is not taken:

- It packs gradients into buckets in the order in which they come, which it learns from the first step. With three or
  more workers the order of additions depends on the bucket: a resumed training's first step would have other bits.
- It refuses parameters without a gradient, which gradual unfreezing and some models have.
- It averages over workers, whatever each one's rows hold.

Here one flat tensor of a fixed layout is added up after the backward pass, not beside it.
"""

from __future__ import annotations

import io
import math
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.strategies import SingleDeviceStrategy
from torch import Tensor

from gatesweep.errors import NotFinite
from gatesweep.train.team import Team


class DataParallel(SingleDeviceStrategy):
    """One worker's side of it."""

    def __init__(self, team: Team, device: torch.device | str) -> None:
        super().__init__(device=device)
        self.team = team
        self.shares: deque[int] = deque()
        """Rows of this worker in each batch that was loaded and not yet trained on; 0: a copy that does not count."""
        self._rows = self._batch = 0
        self._factor: float | None = None

    def setup(self, trainer: Any) -> None:
        """Start from worker 0's weights, whatever was drawn or loaded here."""
        super().setup(trainer)
        module = self.lightning_module
        assert module is not None
        self._copy_first([*module.parameters(), *module.buffers()])

    def training_step(self, *args: Any, **kwargs: Any) -> Any:
        self._rows, self._factor, self._batch = self.shares.popleft(), None, args[1] if len(args) > 1 else 0
        output = super().training_step(*args, **kwargs)
        if self._factor is None:  # a module that does not say what its loss is a mean over
            loss = output["loss"] if isinstance(output, Mapping) else output
            assert isinstance(loss, Tensor), "a training step returns its loss"
            self.mean_loss(loss, self._rows, self._rows)
        return output

    def mean_loss(self, loss: Tensor, count: float, over: float) -> tuple[Tensor, int]:
        """The loss over all workers' rows and over how many things; and this worker's weight in the step.

        Args:
            loss: of this worker's rows.
            count: what it is to be logged as a mean over.
            over: what its gradient is a mean over.

        Raises:
            NotFinite: on every worker, where it is no number on one of them.
            Dismissed: worker 0 has left.
        """
        counted, weighed = (count, over) if self._rows else (0, 0)
        own = float(loss.detach())
        total, over_all, count_all = self.team.exchange((own * weighed if weighed else 0.0, weighed, counted))
        mean = total / over_all if over_all else 0.0
        module = self.lightning_module
        if not math.isfinite(mean) and module is not None:
            raise NotFinite(
                f"the training loss is {mean} in epoch {module.current_epoch + 1}, batch {self._batch + 1}",
                hint="a lower optimizer.lr, or optimizer.clip_norm, usually keeps it finite",
            )
        self._factor = weighed / over_all if over_all else 1 / self.team.size
        return torch.tensor(mean, dtype=loss.dtype), round(count_all)

    def backward(self, closure_loss: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        assert self._factor is not None
        return super().backward(closure_loss * self._factor, *args, **kwargs)

    def optimizer_step(self, optimizer: Any, closure: Callable[[], Any], model: Any = None, **kwargs: Any) -> Any:
        def closed() -> Any:
            output = closure()
            self._add_gradients()
            return output

        return super().optimizer_step(optimizer, closed, model, **kwargs)

    @torch.no_grad()
    def _add_gradients(self) -> None:
        """The sum of every gradient. A parameter without one here, but with one elsewhere, gets that."""
        module = self.lightning_module
        assert module is not None
        asked = [p for p in module.parameters() if p.requires_grad]
        for dtype in sorted({p.dtype for p in asked}, key=str):
            parameters = [p for p in asked if p.dtype == dtype]
            there = torch.tensor([float(p.grad is not None) for p in parameters], dtype=dtype, device=self.root_device)
            parts = [p.new_zeros(p.numel()) if p.grad is None else p.grad.reshape(-1) for p in parameters]
            flat = torch.cat([there, *parts])
            self.team.add(flat)
            there, *sums = flat.split([len(parameters), *(p.numel() for p in parameters)])
            for parameter, has, total in zip(parameters, there.tolist(), sums, strict=True):
                if has and parameter.grad is None:
                    parameter.grad = total.view_as(parameter).clone()
                elif has:
                    parameter.grad.copy_(total.view_as(parameter))  # type: ignore[union-attr]

    @torch.no_grad()
    def _copy_first(self, tensors: list[Tensor]) -> None:
        for own, first in zip(tensors, self.team.from_first([t.detach().cpu() for t in tensors]), strict=True):
            own.copy_(first)

    def load_checkpoint(self, checkpoint_path: Any, weights_only: bool | None = None) -> dict[str, Any]:
        """Worker 0's file: no other needs to reach it."""
        content = self.team.from_first(Path(checkpoint_path).read_bytes() if self.team.rank == 0 else b"")
        loaded: dict[str, Any] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        return loaded

    def save_checkpoint(self, checkpoint: dict[str, Any], filepath: Any, storage_options: Any = None) -> None:
        """By worker 0 alone."""
        if self.team.rank == 0:
            super().save_checkpoint(checkpoint, filepath, storage_options)
