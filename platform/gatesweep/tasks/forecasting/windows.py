"""Windows as numbers: a window is the row of its first forecast step, a batch is one gather from the table.

Letters: N rows, D columns of the table (target, changes, covariates, known, calendar), B windows, T lookback, F
horizon, E columns known ahead. The table is one float32 tensor for all splits; nothing is copied per window.

    past    rows o-T … o-1, all D columns          future   rows o … o+F-1, the last E columns
    target  rows o … o+F-1, the first column       truth    rows o … o+F-1 of the series itself, NaN where not measured
                                                   last     the series itself at row o-1
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

    real_B: Tensor
    """False for a copy that only fills up the last batch of a rank: it must not be scored."""


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

    def __init__(self, table_ND: Tensor, values_N: Floats, truth_N: Floats, origin_W: Tensor, *, lookback: int,
                 horizon: int, known: int) -> None:
        """Lay out one split.

        Args:
            values_N: the series in its own units; `truth_N`: the same, NaN where it was never measured.
            known: how many of the table's last columns are known ahead.
        """
        self.table_ND, self.origin_W, self.known = table_ND, origin_W, known
        self.values_N, self.truth_N = torch.from_numpy(values_N).float(), torch.from_numpy(truth_N).float()
        self.back_T = torch.arange(-lookback, 0)
        self.ahead_F = torch.arange(horizon)

    def __len__(self) -> int:
        return len(self.origin_W)

    def __getitems__(self, indices: list[int]) -> WindowBatch:
        """A whole batch at once; an index from `len(self)` on is a filling copy."""
        index_B = torch.as_tensor(indices)
        origin_B = self.origin_W[index_B % len(self)]
        ahead_BF = origin_B.unsqueeze(1) + self.ahead_F
        future_BFD = self.table_ND[ahead_BF]
        return WindowBatch(past_BTD=self.table_ND[origin_B.unsqueeze(1) + self.back_T],
                           future_BFE=future_BFD[:, :, future_BFD.shape[2] - self.known :],
                           target_BF=future_BFD[:, :, 0],
                           last_B=self.values_N[origin_B - 1], truth_BF=self.truth_N[ahead_BF],
                           origin_B=origin_B, real_B=index_B < len(self))

    def __getitem__(self, index: int) -> WindowBatch:
        return self.__getitems__([index])


def as_it_is(batch: Any) -> Any:
    """The loader's collate function: `__getitems__` has made the batch."""
    return batch
