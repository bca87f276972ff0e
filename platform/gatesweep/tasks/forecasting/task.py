"""Forecasting as a task: one series, its windows, the module, the baseline, the pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from torch.utils.data import DataLoader

from gatesweep.data.fetch import Dataset, ensure, user_file
from gatesweep.tasks.base import Baseline
from gatesweep.tasks.forecasting import baselines, figures
from gatesweep.tasks.forecasting.config import ForecastingData
from gatesweep.tasks.forecasting.loaders import EVAL_BATCH, WindowsModule, in_order
from gatesweep.tasks.forecasting.module import ForecastModule, build_network
from gatesweep.tasks.forecasting.prepare import SPLITS, Prepared, kept, prepare
from gatesweep.tasks.forecasting.source import read, read_like
from gatesweep.tasks.forecasting.windows import WindowBatch

if TYPE_CHECKING:
    from gatesweep.models.config import ModelConfig


class Forecasting:
    """See `gatesweep.tasks.base.Task`."""

    data_section = ForecastingData
    metrics = ("loss", "mae", "rmse", "mape", "mase", "direction")

    def __init__(self, data: ForecastingData, model: ModelConfig, *, batch_size: int, seed: int,
                 say: Callable[[str], None]) -> None:
        dataset = ensure(data.name, say=say) if data.name else user_file(str(data.path))
        self.data = data
        self.datasets: list[Dataset] = [dataset]
        self.prepared = kept(data, dataset.md5, lambda: prepare(read(dataset, data), data, place=dataset.name))
        for split in SPLITS:
            self.prepared.origins(split)
        self.data_module = WindowsModule(self.prepared, batch_size=batch_size, seed=seed)
        network = build_network(model, self.prepared.table_ND.shape[1], self.prepared.known, data.horizon, seed)
        self.module = ForecastModule(network, data, self.prepared.scaler, self.prepared.naive_error)

    def baseline(self, split: str, path: Path | None = None) -> Baseline:
        """Seasonal naive at the lag that was better on train, beside the last value and the other lags."""
        own, asked = self.prepared, self._prepared(path)
        origin_W, further = asked.origins(split), {}
        if self.data.differenced:
            further = dict([baselines.majority_direction(own.truth_N, own.origins("train"), asked.truth_N, origin_W,
                                                         self.data.horizon)])
        return baselines.baseline(asked.values_N, asked.truth_N, origin_W, self.data.horizon, self.data.seasonal,
                                  own.chosen_lag, float(self.module.naive_error), further)

    def loader(self, split: str, path: Path | None = None) -> DataLoader[WindowBatch]:
        """Every window of `train`, `val`, `test` or `all`, in the order of time.

        Args:
            path: another file of the same layout: shared out by the same splits, scaled as the training data was.
        """
        return in_order(self._prepared(path).windows(split), max(self.data_module.batch_size, EVAL_BATCH))

    @torch.no_grad()
    def predictions(self, split: str, path: Path | None = None) -> pd.DataFrame:
        """One row for each step of each window.

        Returns:
            Columns origin (the last known time), step (from 1), time, truth (NaN where it was never measured),
            forecast; in the series' own units.
        """
        module, times = self.module, self._prepared(path).series.frame.index
        was_training = module.training
        module.eval()
        parts = []
        for batch in self.loader(split, path):
            moved = WindowBatch(*(tensor.to(module.device) for tensor in batch))
            forecast_BF = module.in_units(module(moved.past_BTD, moved.future_BFE), moved.last_B)
            parts.append((batch.origin_B.numpy(), batch.truth_BF.numpy(), forecast_BF.cpu().numpy()))
        module.train(was_training)
        origin_W, truth_WF, forecast_WF = (np.concatenate(column) for column in zip(*parts, strict=True))
        steps_F = np.arange(self.data.horizon)
        return pd.DataFrame({"origin": np.repeat(times[origin_W - 1], len(steps_F)),
                             "step": np.tile(steps_F + 1, len(origin_W)),
                             "time": times[(origin_W[:, None] + steps_F).ravel()], "truth": truth_WF.ravel(),
                             "forecast": forecast_WF.ravel()})

    def figures(self, split: str, path: Path | None = None) -> dict[str, Figure]:
        """`forecast`: forecasts over the truth; `error_by_step`: MAE over the horizon, beside the baseline."""
        table, asked, lag = self.predictions(split, path), self._prepared(path), self.prepared.chosen_lag
        origin_W, horizon, target = asked.origins(split).numpy(), self.data.horizon, asked.series.target
        naive_WF = baselines.seasonal_naive(asked.values_N, origin_W, horizon, lag)
        naive_F = np.nanmean(np.abs(naive_WF - asked.truth_N[origin_W[:, None] + np.arange(horizon)]), axis=0)
        title = f"{self.datasets[0].name}: {target}, {horizon} steps ahead, {split}"
        return {"forecast": figures.side_by_side(table, title=title, target=target),
                "error_by_step": figures.error_by_step(table, naive_F, title=title, target=target,
                                                       baseline=baselines.seasonal_name(lag))}

    def describe(self) -> list[str]:
        """What was read and cleaned, the windows of each split, the scaler, the baseline's choice."""
        return describe(self.prepared)

    def _prepared(self, path: Path | None) -> Prepared:
        """The training's own data, or another file's, scaled alike."""
        if path is None:
            return self.prepared
        dataset = user_file(path)
        scaler = self.module.scaler
        key = f"{dataset.md5} {scaler.center_C.tolist()} {scaler.scale_C.tolist()}"
        return kept(self.data, key, lambda: prepare(read_like(dataset, self.data), self.data,
                                                    place=str(path), scaler=scaler))


def describe(prepared: Prepared) -> list[str]:
    """Lines for the log."""
    series, data = prepared.series, prepared.data
    frame, target = series.frame, series.target
    lines = list(series.cleaning.lines())
    for split, (start, stop) in prepared.borders.items():
        count = len(prepared.origins(split))
        lines.append(f"{split}: {count:,} windows, {frame.index[start]} to {frame.index[stop - 1]}")
    lines.append(f"scaler: {data.scaler}, fitted on train: {target} ({data.transform}) center"
                 f" {float(prepared.scaler.center_C[0]):.6g}, scale {float(prepared.scaler.scale_C[0]):.6g}")
    name = baselines.seasonal_name(prepared.chosen_lag)
    lines.append(f"baseline: {name} (of {list(data.seasonal)}, chosen on train)")
    filled = int(series.filled_N.sum())
    if filled:
        lines.append(f"metrics: leave out the {filled:,} rows whose {target} was filled in")
    zeros = int((prepared.values_N == 0).sum())
    if zeros:
        lines.append(f"mape: leaves out the {zeros} rows where {target} is 0")
    return lines
