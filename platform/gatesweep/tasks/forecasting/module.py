"""The Lightning module: forecast in scaled units, loss there, metrics in the series' own units.

Letters: B windows, T lookback, D and E columns of past and future, F horizon, L the residual's lag; z scaled values.

    ẑ_(o+k) = net(past, future)_k + base_k
    base_k  = 0 without a residual, else z_(o+k-L), from the last known season where o+k-L is in the future itself
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from gatesweep.tasks.base import TaskModule
from gatesweep.tasks.forecasting.config import ForecastingData
from gatesweep.tasks.forecasting.metrics import SUMS, error_sums, from_sums
from gatesweep.tasks.forecasting.units import Scaler, from_learnt
from gatesweep.tasks.forecasting.windows import WindowBatch

if TYPE_CHECKING:
    from gatesweep.models.config import ModelConfig

LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": functional.mse_loss, "mae": functional.l1_loss, "huber": functional.huber_loss,
}


def build_network(model: ModelConfig, past_size: int, future_size: int, horizon: int, seed: int) -> nn.Module:
    """The network with weights that are a function of `seed`, whatever was drawn before."""
    from gatesweep.models.forecaster import Forecaster

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Forecaster(model, past_size, future_size, horizon)


class ForecastModule(TaskModule):
    """A network, the scaler it was trained with, and how well it does.

    Scaler and MASE's denominator are buffers: a checkpoint alone can score another file.
    """

    center_C: Tensor
    scale_C: Tensor
    naive_error: Tensor
    base_F: Tensor

    def __init__(self, network: nn.Module, data: ForecastingData, scaler: Scaler, naive_error: float) -> None:
        super().__init__()
        self.network, self.data = network, data
        self.register_buffer("center_C", scaler.center_C.clone())
        self.register_buffer("scale_C", scaler.scale_C.clone())
        self.register_buffer("naive_error", torch.tensor(naive_error, dtype=torch.float32))
        if data.residual is not None:
            ahead_F = torch.arange(data.horizon)
            self.register_buffer("base_F", data.lookback + ahead_F % data.residual - data.residual, persistent=False)
        self._sums: Tensor | None = None

    @property
    def scaler(self) -> Scaler:
        """As trained, or as loaded from a checkpoint."""
        return Scaler(self.center_C.detach().float().cpu(), self.scale_C.detach().float().cpu())

    def forward(self, past_BTD: Tensor, future_BFE: Tensor) -> Tensor:
        """The forecast `[B, F]` in scaled units."""
        forecast_BF: Tensor = self.network(past_BTD, future_BFE)
        if self.data.residual is not None:
            forecast_BF = forecast_BF + past_BTD[:, self.base_F, 0]
        return forecast_BF

    def in_units(self, forecast_BF: Tensor, last_B: Tensor) -> Tensor:
        """A scaled forecast in the series' own units."""
        return from_learnt(forecast_BF.float() * self.scale_C[0] + self.center_C[0], last_B, self.data.transform)

    def loss(self, forecast_BF: Tensor, target_BF: Tensor) -> Tensor:
        """The configured loss, in scaled units."""
        return LOSSES[self.data.loss](forecast_BF, target_BF)

    def training_step(self, batch: WindowBatch, batch_idx: int) -> Tensor:
        loss = self.loss(self(batch.past_BTD, batch.future_BFE), batch.target_BF)
        self.log("train/loss", loss.detach(), on_step=False, on_epoch=True, batch_size=len(batch.target_BF))
        return loss

    def validation_step(self, batch: WindowBatch, batch_idx: int) -> None:
        self._add(batch)

    def test_step(self, batch: WindowBatch, batch_idx: int) -> None:
        self._add(batch)

    def on_validation_epoch_end(self) -> None:
        self._report("val")

    def on_test_epoch_end(self) -> None:
        self._report("test")

    def on_validation_epoch_start(self) -> None:
        self._sums = None

    def on_test_epoch_start(self) -> None:
        self._sums = None

    def _add(self, batch: WindowBatch) -> None:
        forecast_BF = self(batch.past_BTD, batch.future_BFE)
        target_BF, last_B, truth_BF = batch.target_BF, batch.last_B, batch.truth_BF
        real_B = batch.real_B
        if self.trainer.world_size > 1:
            forecast_BF, target_BF, last_B, truth_BF = (x[real_B] for x in (forecast_BF, target_BF, last_B, truth_BF))
        loss = self.loss(forecast_BF, target_BF) if len(target_BF) else 0.0
        sums = error_sums(self.in_units(forecast_BF, last_B), truth_BF, last_B, loss)
        self._sums = sums if self._sums is None else self._sums + sums

    def _report(self, split: str) -> None:
        sums = self._sums if self._sums is not None else torch.zeros(len(SUMS), device=self.device)
        self._sums = None
        sums = self.trainer.strategy.reduce(sums, reduce_op="sum")
        metrics = from_sums(sums, float(self.naive_error))
        for name, value in metrics.items():
            self.log(f"{split}/{name}", torch.tensor(value, dtype=torch.float64), on_step=False, on_epoch=True)
