"""A trained module over every window of a split, as a table: what `predictions`, figures and statements are made of."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from torch.utils.data import DataLoader

from gatesweep.tasks.forecasting.module import ForecastModule
from gatesweep.tasks.forecasting.prepare import Prepared
from gatesweep.tasks.forecasting.units import Floats
from gatesweep.tasks.forecasting.windows import WindowBatch


def level_name(level: float) -> str:
    """What a quantile's column is called: `q10` of .1, `q2.5` of .025."""
    return f"q{100 * level:g}"


@torch.no_grad()
def table(module: ForecastModule, prepared: Prepared, loader: DataLoader[WindowBatch]) -> pd.DataFrame:
    """One row for each step of each window and series.

    Returns:
        Columns origin (the last known time), step (from 1), time, series (where there are several), truth (NaN where it
        was never measured), forecast, a column for each level of a forecast that has several; in the series' own units.
    """
    was_training = module.training
    module.eval()
    parts = [rows_of(module, WindowBatch(*(tensor.to(module.device) for tensor in batch))) for batch in loader]
    module.train(was_training)
    origin_R, series_R, truth_RF, said_RFQ = (np.concatenate(column) for column in zip(*parts, strict=True))
    if module.data.scores == "standardised":
        center_C, scale_C = (each.double().numpy() for each in (prepared.scaler.center_C, prepared.scaler.scale_C))
        center_R1, scale_R1 = center_C[series_R][:, None], scale_C[series_R][:, None]
        truth_RF, said_RFQ = truth_RF * scale_R1 + center_R1, said_RFQ * scale_R1[:, None] + center_R1[:, None]
    times, steps_F = prepared.series.frame.index, np.arange(module.data.horizon)
    columns = {"origin": np.repeat(times[origin_R - 1], len(steps_F)), "step": np.tile(steps_F + 1, len(origin_R)),
               "time": times[(origin_R[:, None] + steps_F).ravel()], "truth": truth_RF.ravel(),
               "forecast": said_RFQ[:, :, 0].ravel()}
    names = [level_name(level) for level in module.output.levels] if module.output.probable else []
    columns |= {name: said_RFQ[:, :, 1 + number].ravel() for number, name in enumerate(names)}
    found = pd.DataFrame(columns)
    if len(prepared.targets) > 1:
        found.insert(3, "series", np.repeat(np.array(prepared.targets)[series_R], len(steps_F)))
    return found


def rows_of(module: ForecastModule, batch: WindowBatch) -> tuple[Floats, ...]:
    """Origin and series of every row, its truth `[R, F]`, and the forecast before its quantiles `[R, F, 1 + Q]`, in the
    units of the scores."""
    said, last_R = module.said(batch.past_BTD, batch.future_BFE, batch.series_B), batch.last_B.reshape(-1)
    series_R = module.series_of_rows(batch.series_B)
    asked = [module.in_units(module.output.point(said), last_R, series_R).unsqueeze(2)]
    if module.output.probable:
        asked.append(module.quantiles_in_units(said, last_R, series_R))
    origin_R = batch.origin_B.repeat_interleave(module.targets)
    found = (origin_R, series_R, module.rows(batch.truth_BF), torch.cat(asked, dim=2))
    return tuple(tensor.cpu().numpy() for tensor in found)
