"""Forecast and truth as pictures, without pyplot's global state."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from gatesweep.tasks.forecasting.units import Floats

TRUTH, FORECAST, BASELINE = "#222222", "#d1495b", "#8d96a3"
SHOWN = 7


def side_by_side(table: pd.DataFrame, *, title: str, target: str, shown: int = SHOWN) -> Figure:
    """The last `shown` forecasts that do not overlap, over the truth.

    Args:
        table: as `Forecasting.predictions` gives it.
    """
    figure, axes = _axes(title, "time", target)
    chosen = _apart(table, shown)
    truth = chosen.drop_duplicates("time").sort_values("time")
    axes.plot(truth["time"].to_numpy(), truth["truth"].to_numpy(), color=TRUTH, linewidth=1.4, label="truth")
    for number, (_, one) in enumerate(chosen.groupby("origin")):
        axes.plot(one["time"].to_numpy(), one["forecast"].to_numpy(), color=FORECAST, linewidth=1.4, marker="o",
                  markersize=2, label=None if number else "forecast, one line each")
        axes.axvline(one["time"].iloc[0], color=BASELINE, linewidth=0.6, linestyle=":")
    axes.legend(frameon=False)
    figure.autofmt_xdate()
    return figure


def error_by_step(table: pd.DataFrame, baseline_F: Floats, *, title: str, baseline: str, target: str) -> Figure:
    """MAE of each step of the horizon, model and baseline."""
    figure, axes = _axes(title, "steps ahead", f"MAE, in units of {target}")
    errors = (table["truth"] - table["forecast"]).abs().groupby(table["step"]).mean()
    axes.plot(errors.index.to_numpy(), errors.to_numpy(), color=FORECAST, marker="o", markersize=3, label="model")
    axes.plot(np.arange(1, len(baseline_F) + 1), baseline_F, color=BASELINE, marker="o", markersize=3, label=baseline)
    axes.set_ylim(0, 1.15 * max(errors.max(), baseline_F.max()))
    axes.legend(frameon=False)
    return figure


def _apart(table: pd.DataFrame, shown: int) -> pd.DataFrame:
    """The rows of the last forecasts of which none begins before the one before it ends."""
    spans = table.groupby("origin")["time"].agg(["first", "last"])
    chosen: list[pd.Timestamp] = []
    limit = pd.Timestamp.max
    for origin, first, last in reversed(list(spans.itertuples(name=None))):
        if len(chosen) < shown and last < limit:
            chosen.append(origin)
            limit = first
    return table[table["origin"].isin(chosen)]


def _axes(title: str, x: str, y: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(10, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set(title=title, xlabel=x, ylabel=y)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes
