"""How well quantiles and distributions fit, from sums that add up over batches; see `outputs` for the scores.

    pinball    mean over the values and the levels              CRPS     mean over the values
    coverage   share of the values between the outermost quantiles; of levels .1 and .9 it should be .8
    width      mean distance of the outermost quantiles
"""

from __future__ import annotations

import torch
from torch import Tensor

from gatesweep.tasks.forecasting.outputs import pinball

NAMES = ("pinball", "crps", "coverage", "width")


def probable_sums(quantiles_RFQ: Tensor, crps_RF: Tensor, truth_RF: Tensor, levels: tuple[float, ...]) -> Tensor:
    """How many values were measured, and the sums of `NAMES` over them, in the units of the scores."""
    wide = torch.float32 if truth_RF.device.type == "mps" else torch.float64
    asked_RFQ, y_RF = quantiles_RFQ.to(wide), truth_RF.to(wide)
    measured_RF = ~y_RF.isnan()
    y_RF = y_RF.where(measured_RF, asked_RFQ[:, :, 0])
    low_RF, high_RF = asked_RFQ[:, :, 0], asked_RFQ[:, :, -1]
    parts = [pinball(asked_RFQ, y_RF, levels), crps_RF.to(wide), ((low_RF <= y_RF) & (y_RF <= high_RF)).to(wide),
             high_RF - low_RF]
    return torch.stack([measured_RF.sum().to(wide), *(part.where(measured_RF, 0.0).sum() for part in parts)])


def probable_metrics(sums: Tensor) -> dict[str, float]:
    """Means; nothing where nothing was measured."""
    count, *totals = sums.tolist()
    return {name: total / count for name, total in zip(NAMES, totals, strict=True)} if count else {}
