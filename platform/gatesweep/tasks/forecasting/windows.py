"""Windows as numbers: a window is the row of its first forecast step, a batch is one gather from the table.

Letters: N rows, D columns of the table (targets, changes, covariates, known, calendar), B windows, T lookback, F
horizon, E columns known ahead, Y targets. The table is one float32 tensor for all splits; nothing is copied per window.

    past    rows o-T … o-1, all D columns          future   rows o … o+F-1, the last E columns
    target  rows o … o+F-1, the first column       truth    rows o … o+F-1 of the series itself, NaN where not measured
                                                   last     the series itself at row o-1

Of several targets, each for itself (independent), a window is a series and a row: of a row's Y windows each reads the
columns that are its series' own, and those that all share. Together (joint) they are one window, and target, truth and
last have Y columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from gatesweep.tasks.forecasting.units import Floats


class WindowBatch(NamedTuple):
    """B windows; `past`, `future` and `target` in scaled units, `last` and `truth` in the series' own."""

    past_BTD: Tensor
    future_BFE: Tensor
    target_BF: Tensor
    last_B: Tensor
    truth_BF: Tensor
    origin_B: Tensor
    """Row of the first forecast step."""

    series_B: Tensor
    """Which of several independent series; 0 where there is one, or where they are one window."""


def origins(segments: Sequence[tuple[int, int]], border: tuple[int, int], *, before: int, horizon: int,
            stride: int) -> Tensor:
    """Rows at which a forecast may begin.

    Args:
        segments: `[start, stop)` of rows without a long gap between them; a window lies in one of them.
        border: `[start, stop)` of the split. The forecast steps lie inside; the `before` rows of history may reach back
            into the split before, where everything is past by then. No row after the forecast's begin is ever read.
    """
    found = [np.arange(max(start + before, border[0]), min(stop, border[1]) - horizon + 1, stride)
             for start, stop in segments]
    return torch.from_numpy(np.concatenate([np.empty(0, np.int64), *found]).astype(np.int64))


class Windows(Dataset[WindowBatch]):
    """The windows of one split over a shared table."""

    def __init__(self, table_ND: Tensor, values_NY: Floats, truth_NY: Floats, origin_W: Tensor, *, lookback: int,
                 horizon: int, known: int, columns_YD: Tensor | None = None) -> None:
        """Lay out one split.

        Args:
            values_NY: the series in the units of the scores; `truth_NY`: the same, NaN where it was never measured.
            known: how many of the table's last columns are known ahead.
            columns_YD: the table's columns that each of several independent series reads, its own value first; none
                reads them all.
        """
        self.table_ND, self.origin_W, self.known, self.columns_YD = table_ND, origin_W, known, columns_YD
        self.values_NY, self.truth_NY = torch.from_numpy(values_NY).float(), torch.from_numpy(truth_NY).float()
        self.back_T = torch.arange(-lookback, 0)
        self.ahead_F = torch.arange(horizon)
        self.targets = values_NY.shape[1]
        self.series = 1 if columns_YD is None else self.targets

    def __len__(self) -> int:
        return len(self.origin_W) * self.series

    def __getitems__(self, indices: list[int]) -> WindowBatch:
        """A whole batch at once."""
        window_B = torch.as_tensor(indices)
        origin_B, series_B = self.origin_W[window_B // self.series], window_B % self.series
        back_BT, ahead_BF = origin_B.unsqueeze(1) + self.back_T, origin_B.unsqueeze(1) + self.ahead_F
        future_BFE = self.table_ND[ahead_BF][:, :, self.table_ND.shape[1] - self.known :]
        if self.columns_YD is not None:
            column_B1 = series_B.unsqueeze(1)
            columns_B1D = self.columns_YD[series_B].unsqueeze(1)
            return WindowBatch(past_BTD=self.table_ND[back_BT.unsqueeze(2), columns_B1D], future_BFE=future_BFE,
                               target_BF=self.table_ND[ahead_BF, column_B1],
                               last_B=self.values_NY[origin_B - 1, series_B],
                               truth_BF=self.truth_NY[ahead_BF, column_B1], origin_B=origin_B, series_B=series_B)
        asked = slice(0, self.targets) if self.targets > 1 else 0
        return WindowBatch(past_BTD=self.table_ND[back_BT], future_BFE=future_BFE,
                           target_BF=self.table_ND[ahead_BF][:, :, asked],
                           last_B=self.values_NY[origin_B - 1][:, asked], truth_BF=self.truth_NY[ahead_BF][:, :, asked],
                           origin_B=origin_B, series_B=series_B)

    def __getitem__(self, index: int) -> WindowBatch:
        return self.__getitems__([index])


def as_it_is(batch: Any) -> Any:
    """The loader's collate function: `__getitems__` has made the batch."""
    return batch
