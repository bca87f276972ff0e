"""Forecasting as a task: one series, its windows, the module, the baseline, the pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from torch.utils.data import DataLoader

from gatesweep.data.fetch import Dataset, ensure, user_file
from gatesweep.data.quality import foresight_of
from gatesweep.errors import ConfigError
from gatesweep.models.forecaster_config import ForecastModel
from gatesweep.tasks.base import Baseline
from gatesweep.tasks.forecasting import baselines, figures, predictability, scored
from gatesweep.tasks.forecasting.config import ETT, ForecastingData
from gatesweep.tasks.forecasting.loaders import EVAL_BATCH, WindowsModule, in_order
from gatesweep.tasks.forecasting.module import ForecastModule, build_module
from gatesweep.tasks.forecasting.prepare import SPLITS, Prepared, filled_of, kept, prepare
from gatesweep.tasks.forecasting.source import read, read_like
from gatesweep.tasks.forecasting.windows import WindowBatch

METRICS = ("loss", "mae", "rmse", "mape", "mase", "direction", "mse", "pinball", "crps", "coverage", "width")


class Forecasting:
    """See `gatesweep.tasks.base.Task`."""

    data_section = ForecastingData
    model_section = ForecastModel
    metrics = METRICS

    def __init__(self, data: ForecastingData, model: ForecastModel, *, batch_size: int, seed: int,
                 say: Callable[[str], None]) -> None:
        check(data, model)
        catalogued = data.name is not None and data.name != ETT
        dataset = ensure(str(data.name), say=say) if catalogued else user_file(str(data.path))
        self.data = data
        self.datasets: list[Dataset] = [dataset]
        self.prepared = kept(data, dataset.md5, lambda: prepare(read(dataset, data), data, place=dataset.name))
        for split in SPLITS:
            self.prepared.origins(split)
        self.data_module = WindowsModule(self.prepared, batch_size=batch_size, seed=seed)
        self.seed = seed
        self.module = self.module_of(model)

    def module_of(self, model: ForecastModel) -> ForecastModule:
        """Another model over the same windows."""
        check(self.data, model)
        return build_module(model, self.data, self.prepared, self.seed)

    def baseline(self, split: str, path: Path | None = None) -> Baseline:
        """Seasonal naive at the lag that was better on train, beside the last value and the other lags."""
        own, asked = self.prepared, self._prepared(path)
        origin_W, further = asked.origins(split), {}
        if self.data.differenced:
            further = dict([baselines.majority_direction(own.truth_NY, own.origins("train"), asked.truth_NY, origin_W,
                                                         self.data.horizon)])
        return baselines.baseline(asked.values_NY, asked.truth_NY, origin_W, self.data.horizon, self.data.seasonal,
                                  own.chosen_lag, float(self.module.naive_error), further, self.data.horizons,
                                  squared=self.data.scores == "standardised")

    def loader(self, split: str, path: Path | None = None) -> DataLoader[WindowBatch]:
        """Every window of `train`, `val`, `test` or `all`, in the order of time.

        Args:
            path: another file of the same layout: shared out by the same splits, scaled as the training data was.
        """
        return in_order(self._prepared(path).windows(split), max(self.data_module.batch_size, EVAL_BATCH))

    def predictions(self, split: str, path: Path | None = None) -> pd.DataFrame:
        """One row for each step of each window, in the series' own units: see `scored.table`."""
        return scored.table(self.module, self._prepared(path), self.loader(split, path))

    def statements(self, split: str, path: Path | None = None) -> list[str]:
        """Of a series that is learnt by its steps: in plain words whether they can be predicted, series by series."""
        if not self.data.differenced:
            return []
        own, asked, table = self.prepared, self._prepared(path), self.predictions(split, path)
        origin_W, lines = asked.origins(split), list[str]()
        for number, name in enumerate(asked.targets):
            part = table[table["series"] == name] if len(asked.targets) > 1 else table
            one_N, train_N = asked.own_NY[:, number], own.own_NY[:, number]
            up = baselines.goes_up(train_N, own.origins("train"), self.data.horizon)
            naive = baselines.score(one_N, asked.truth_NY[:, number], origin_W, self.data.horizon, None, np.nan)["mae"]
            lines += predictability.statements(part, pd.Series(one_N, asked.series.frame.index), up=up, target=name,
                                               mae=float((part["truth"] - part["forecast"]).abs().mean()),
                                               last_value_mae=naive)
        return lines

    def figures(self, split: str, path: Path | None = None) -> dict[str, Figure]:
        """`forecast`: forecasts over the truth; `error_by_step`: MAE over the horizon, beside the baseline."""
        table, asked, lag = self.predictions(split, path), self._prepared(path), self.prepared.chosen_lag
        origin_W, horizon, target = asked.origins(split).numpy(), self.data.horizon, asked.series.target
        if len(asked.targets) > 1:
            table = table[table["series"] == target].drop(columns="series")
        truth_N = np.where(np.isnan(asked.truth_N), np.nan, asked.own_NY[:, 0])
        naive_WF = baselines.seasonal_naive(asked.own_NY[:, 0], origin_W, horizon, lag)
        naive_F = np.nanmean(np.abs(naive_WF - truth_N[origin_W[:, None] + np.arange(horizon)]), axis=0)
        title = f"{self.datasets[0].name}: {target}, {horizon} steps ahead, {split}"
        return {"forecast": figures.side_by_side(table, title=title, target=target),
                "error_by_step": figures.error_by_step(table, naive_F, title=title, target=target,
                                                       baseline=baselines.seasonal_name(lag))}

    def describe(self) -> list[str]:
        """What was read and cleaned, the windows of each split, the scaler, the baseline's choice."""
        return describe(self.prepared)

    def account(self, path: Path) -> list[str]:
        """What was dropped and filled of another file."""
        return list(self._prepared(path).series.cleaning.lines())

    def _prepared(self, path: Path | None) -> Prepared:
        """The training's own data, or another file's, scaled alike."""
        if path is None:
            return self.prepared
        dataset = user_file(path)
        scaler = self.module.scaler
        key = f"{dataset.md5} {scaler.center_C.tolist()} {scaler.scale_C.tolist()}"
        return kept(self.data, key, lambda: prepare(read_like(dataset, self.data), self.data,
                                                    place=str(path), scaler=scaler))


def check(data: ForecastingData, model: ForecastModel) -> None:
    """Refuse what data and model have each alone, and not together.

    Raises:
        ConfigError: says which keys.
    """
    if model.decoder == "segments" and data.lookback % model.segment:
        near = max(model.segment, data.lookback // model.segment * model.segment)
        raise ConfigError(f"model.segment: pieces of {model.segment} steps do not divide data.lookback"
                          f" {data.lookback}", hint=f"data.lookback {near}")
    if model.output != "point" and data.differenced:
        raise ConfigError(f"model.output: {model.output} of steps do not add up to those of the series, as"
                          f" data.transform '{data.transform}' would have it",
                          hint="transform: log or none, with model.normalise: last")
    several = len(data.targets) > 1 or (data.name == ETT and not data.target)
    if model.series_embedding and (not several or data.channels == "joint"):
        raise ConfigError("model.series_embedding: there are no several series that are forecast each for itself",
                          hint="data.targets with data.channels: independent, or series_embedding: 0")


def describe(prepared: Prepared) -> list[str]:
    """Lines for the log."""
    series, data = prepared.series, prepared.data
    frame, target = series.frame, ", ".join(prepared.targets)
    lines = list(series.cleaning.lines())
    for split, (start, stop) in prepared.borders.items():
        count = len(prepared.origins(split))
        of_each = f" of each of {len(prepared.targets)} series" if prepared.independent else ""
        lines.append(f"{split}: {count:,} windows{of_each}, {frame.index[start]} to {frame.index[stop - 1]}")
    lines.append(f"scaler: {data.scaler}, fitted on train: {series.target} ({data.transform}) center"
                 f" {float(prepared.scaler.center_C[0]):.6g}, scale {float(prepared.scaler.scale_C[0]):.6g}")
    lines += [f"warning: column '{each.column}' has a rank correlation of {each.correlation:.2f} with what comes"
              f" {each.steps} step(s) later: it seems to know the future" for each in foresight_of(series)
              if each.suspicious]
    name = baselines.seasonal_name(prepared.chosen_lag)
    lines.append(f"baseline: {name} (of {list(data.seasonal)}, chosen on train)")
    filled = int(filled_of(series, prepared.targets).sum())
    if filled:
        lines.append(f"metrics: leave out the {filled:,} rows whose {target} was filled in")
    zeros = int((prepared.values_NY == 0).sum())
    if zeros:
        lines.append(f"mape: leaves out the {zeros} rows where {target} is 0")
    return lines
