"""The Lightning module: forecast in scaled units, loss there, metrics in the units of the scores.

Letters: B windows, T lookback, D and E columns of past and future, F horizon, Y targets of a window, R = B Y rows (one
series of one window), P numbers said of each value, L the residual's lag; z scaled values.

    past', level = norm(past)                       see `models.instance_norm`
    raw          = net(past', future)               [B, F, Y P]
    said         = level(raw_k + base_k)            see `outputs`
    base_k       = 0 without a residual, else z'_(o+k-L), from the last known season where o+k-L is in the future itself
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from gatesweep.models.forecaster_config import ForecastModel
from gatesweep.models.instance_norm import InstanceNorm, Level
from gatesweep.tasks.base import TaskModule
from gatesweep.tasks.forecasting.config import ForecastingData
from gatesweep.tasks.forecasting.metrics import metrics_of, sums_of, zero_sums
from gatesweep.tasks.forecasting.outputs import Output, pinball
from gatesweep.tasks.forecasting.probable import NAMES, probable_metrics, probable_sums
from gatesweep.tasks.forecasting.series_features import SeriesFeatures
from gatesweep.tasks.forecasting.units import Scaler, from_learnt
from gatesweep.tasks.forecasting.windows import WindowBatch

if TYPE_CHECKING:
    from gatesweep.tasks.forecasting.prepare import Prepared


def build_network(model: ForecastModel, past_size: int, future_size: int, horizon: int, seed: int,
                  targets: int = 1) -> nn.Module:
    """The network with weights that are a function of `seed`, whatever was drawn before."""
    from gatesweep.models.forecasters import build_forecaster

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build_forecaster(model, past_size, future_size, horizon, targets)


def build_module(model: ForecastModel, data: ForecastingData, prepared: Prepared, seed: int) -> ForecastModule:
    """The module for prepared series."""
    features = SeriesFeatures(model, data, prepared.targets, seed)
    network = build_network(model, prepared.past_size + (features.size if features.of_past else 0),
                            prepared.known + features.size, data.horizon, seed, prepared.outputs)  # fmt: skip
    return ForecastModule(network, data, prepared.scaler, prepared.naive_error, model, features,
                          targets=prepared.outputs)


class ForecastModule(TaskModule):
    """A network, the scaler it was trained with, and how well it does.

    Scaler and MASE's denominator are buffers: a checkpoint alone can score another file.
    """

    center_C: Tensor
    scale_C: Tensor
    naive_error: Tensor
    base_F: Tensor

    def __init__(self, network: nn.Module, data: ForecastingData, scaler: Scaler, naive_error: float,
                 model: ForecastModel | None = None, features: SeriesFeatures | None = None, targets: int = 1) -> None:
        super().__init__()
        model = model or ForecastModel()
        self.network, self.data, self.targets = network, data, targets
        self.features = features if features is not None and features.size else None
        self.norm = InstanceNorm(model.normalise, targets)
        self.output = Output(model, data.loss)
        self.register_buffer("center_C", scaler.center_C.clone())
        self.register_buffer("scale_C", scaler.scale_C.clone())
        self.register_buffer("naive_error", torch.tensor(naive_error, dtype=torch.float32))
        if data.residual is not None:
            ahead_F = torch.arange(data.horizon)
            self.register_buffer("base_F", data.lookback + ahead_F % data.residual - data.residual, persistent=False)
        self._sums: Tensor | None = None
        self._probable: Tensor | None = None

    @property
    def scaler(self) -> Scaler:
        """As trained, or as loaded from a checkpoint."""
        return Scaler(self.center_C.detach().float().cpu(), self.scale_C.detach().float().cpu())

    def forward(self, past_BTD: Tensor, future_BFE: Tensor, series_B: Tensor | None = None) -> Tensor:
        """The forecast `[R, F]` in scaled units, one value a step; of jointly forecast series a row of each."""
        return self.output.point(self.said(past_BTD, future_BFE, series_B))

    def said(self, past_BTD: Tensor, future_BFE: Tensor, series_B: Tensor | None = None,
             target_BF: Tensor | None = None) -> Tensor:
        """All that is said in scaled units, `[R, F]` of a point, else `[R, F, P]`.

        Args:
            series_B: of independent series, which.
            target_BF: the true steps ahead, for a decoder that is taught by them.
        """
        past_BTD, level = self.norm(past_BTD)
        base_RF = None if self.data.residual is None else self.rows(past_BTD[:, self.base_F, : self.targets])
        if self.features is not None:
            past_BTD, future_BFE = self.features(past_BTD, future_BFE, series_B)
        if target_BF is not None and getattr(self.network, "taught", False):
            inner_BFY = self.norm.within(target_BF.reshape(*target_BF.shape[:2], self.targets), level)
            raw = self.network(past_BTD, future_BFE, inner_BFY)
        else:
            raw = self.network(past_BTD, future_BFE)
        back = None if self.norm.name == "none" else Level(*(each.reshape(-1, 1) for each in self.norm.affine(level)))
        return self.output.read(self.rows(raw), back, base_RF)

    def rows(self, of_windows: Tensor) -> Tensor:
        """`[B, F]` as it is, `[B, F, Y P]` as a row of each series: `[R, F]`, or `[R, F, P]`."""
        if of_windows.dim() == 2:
            return of_windows
        B, F, _ = of_windows.shape
        rows_RFP = of_windows.reshape(B, F, self.targets, -1).transpose(1, 2).reshape(B * self.targets, F, -1)
        return rows_RFP.squeeze(2) if rows_RFP.shape[2] == 1 else rows_RFP

    def series_of_rows(self, series_B: Tensor) -> Tensor:
        """Which target each row is of."""
        if self.targets == 1:
            return series_B
        return torch.arange(self.targets, device=series_B.device).repeat(len(series_B))

    def in_units(self, forecast_RF: Tensor, last_R: Tensor, series_R: Tensor | None = None) -> Tensor:
        """A scaled forecast in the units of the scores."""
        if self.data.scores == "standardised":
            return forecast_RF.float()
        series = 0 if series_R is None else series_R.unsqueeze(1)
        return from_learnt(forecast_RF.float() * self.scale_C[series] + self.center_C[series], last_R,
                           self.data.transform)

    def loss(self, said: Tensor, target_RF: Tensor, measured_RF: Tensor | None = None) -> Tensor:
        """The configured loss, in scaled units."""
        return self.output.loss(said, target_RF, measured_RF)

    def training_step(self, batch: WindowBatch, batch_idx: int) -> Tensor:
        past_BTD = batch.past_BTD
        if self.data.jitter:
            noise_BTY = torch.randn_like(past_BTD[:, :, : self.targets]) * self.data.jitter
            past_BTD = torch.cat([past_BTD[:, :, : self.targets] + noise_BTY, past_BTD[:, :, self.targets :]], dim=2)
        said = self.said(past_BTD, batch.future_BFE, batch.series_B, batch.target_BF)
        measured_RF = self._measured(batch)
        loss = self.loss(said, self.rows(batch.target_BF), measured_RF)
        self.log_loss(loss, len(batch.target_BF), over=None if measured_RF is None else measured_RF.sum())
        return loss

    def _measured(self, batch: WindowBatch) -> Tensor | None:
        return ~self.rows(batch.truth_BF).isnan() if self.data.missing == "masked" else None

    def validation_step(self, batch: WindowBatch, batch_idx: int) -> None:
        self._add(batch)

    def test_step(self, batch: WindowBatch, batch_idx: int) -> None:
        self._add(batch)

    def on_validation_epoch_end(self) -> None:
        self._report("val")

    def on_test_epoch_end(self) -> None:
        self._report("test")

    def on_validation_epoch_start(self) -> None:
        self._sums = self._probable = None

    def on_test_epoch_start(self) -> None:
        self._sums = self._probable = None

    def _add(self, batch: WindowBatch) -> None:
        said = self.said(batch.past_BTD, batch.future_BFE, batch.series_B)
        target_RF, truth_RF, last_R = self.rows(batch.target_BF), self.rows(batch.truth_BF), batch.last_B.reshape(-1)
        loss = self.loss(said, target_RF, self._measured(batch))
        series_R = self.series_of_rows(batch.series_B)
        forecast_RF = self.in_units(self.output.point(said), last_R, series_R)
        sums = sums_of(forecast_RF, truth_RF, last_R, self.data.horizons, loss)
        self._sums = sums if self._sums is None else self._sums + sums
        if self.output.probable:
            more = self._fit(said, target_RF, truth_RF, last_R, series_R)
            self._probable = more if self._probable is None else self._probable + more

    def _fit(self, said: Tensor, target_RF: Tensor, truth_RF: Tensor, last_R: Tensor, series_R: Tensor) -> Tensor:
        """The sums of `probable`."""
        quantiles_RFQ = self.quantiles_in_units(said, last_R, series_R)
        if self.data.transform == "none":
            crps_RF = self.output.crps(said, target_RF)
            if self.data.scores == "own":
                crps_RF = crps_RF * self.scale_C[series_R].unsqueeze(1)
        else:
            crps_RF = 2 * pinball(quantiles_RFQ, truth_RF, self.output.levels)
        return probable_sums(quantiles_RFQ, crps_RF, truth_RF, self.output.levels)

    def quantiles_in_units(self, said_RFP: Tensor, last_R: Tensor, series_R: Tensor) -> Tensor:
        """`[R, F, Q]` in the units of the scores."""
        asked = self.output.quantiles(said_RFP).unbind(2)
        return torch.stack([self.in_units(each_RF, last_R, series_R) for each_RF in asked], dim=2)

    def _report(self, split: str) -> None:
        sums = self._sums if self._sums is not None else zero_sums(self.data.horizons).to(self.device)
        metrics = metrics_of(sums, float(self.naive_error), self.data.horizons,
                             squared=self.data.scores == "standardised")  # fmt: skip
        if self.output.probable:
            more = self._probable if self._probable is not None else torch.zeros(1 + len(NAMES), device=self.device)
            metrics |= probable_metrics(more)
        self._sums = self._probable = None
        for name, value in metrics.items():
            self.log(f"{split}/{name}", torch.tensor(value, dtype=torch.float64), on_step=False, on_epoch=True)
