"""What a model says of each value ahead: one number, quantiles, or the parameters of a distribution.

Letters: R rows (a window of one series), F steps of the horizon, P numbers said of each value, Q levels; y the truth,
z = (y - μ) / σ, Φ, φ the standard normal's, F_ν, f_ν Student's distribution function and density.

    pinball      ρ_q(y - ŷ_q) = max(q (y - ŷ_q), (q - 1)(y - ŷ_q)), its mean over the levels (Koenker & Bassett 1978)
    likelihood   - ln p(y | μ, σ(, ν)),  σ = softplus + ε,  ν = 2 + softplus                (Salinas et al. 2020)

    CRPS         ∫ (F(x) - 1{y ≤ x})² dx = 2 ∫ ρ_q(y - F⁻¹(q)) dq                 (Gneiting & Raftery 2007, section 4.2)
      gaussian   σ [z (2 Φ(z) - 1) + 2 φ(z) - 1/√π]
      student_t  σ [z (2 F_ν(z) - 1) + 2 f_ν(z) (ν + z²)/(ν - 1) - 2 √ν/(ν - 1) B(1/2, ν - 1/2) / B(1/2, ν/2)²]
      quantiles  twice the mean pinball over the levels, an approximation        (Jordan et al. 2019, appendix A)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy import special, stats
from torch import Tensor
from torch.nn import functional

from gatesweep.models.instance_norm import Level

if TYPE_CHECKING:
    from gatesweep.models.forecaster_config import ForecastModel

LOSSES: dict[str, Callable[..., Tensor]] = {
    "mse": functional.mse_loss, "mae": functional.l1_loss, "huber": functional.huber_loss,
}
LEAST_SCALE = 1e-4


class Output:
    """How the numbers of a network are read, in scaled units. `said` is `[R, F]` of a point, else `[R, F, P]`."""

    def __init__(self, model: ForecastModel, loss: str) -> None:
        self.kind, self.levels, self.loss_name = model.output, model.levels, loss

    @property
    def probable(self) -> bool:
        """Whether more than one number is said."""
        return self.kind != "point"

    def read(self, raw: Tensor, level: Level | None, base_RF: Tensor | None) -> Tensor:
        """Said in scaled units, out of what the network wrote of a normalised window.

        Args:
            level: the map back to scaled values, of each row; none where nothing was taken out.
            base_RF: what is added to every value; none for nothing.
        """
        if self.kind == "point":
            raw = raw if base_RF is None else raw + base_RF
            return raw if level is None else raw * level.scale_BY + level.shift_BY
        if self.kind == "quantiles":
            raw = raw if base_RF is None else raw + base_RF.unsqueeze(2)
            return raw if level is None else raw * level.scale_BY.unsqueeze(2) + level.shift_BY.unsqueeze(2)
        center_RF, width_RF = raw[:, :, 0], functional.softplus(raw[:, :, 1]) + LEAST_SCALE
        center_RF = center_RF if base_RF is None else center_RF + base_RF
        if level is not None:
            center_RF, width_RF = center_RF * level.scale_BY + level.shift_BY, width_RF * level.scale_BY.abs()
        more = [2 + functional.softplus(raw[:, :, 2])] if self.kind == "student_t" else []
        return torch.stack([center_RF, width_RF, *more], dim=2)

    def loss(self, said: Tensor, target_RF: Tensor, measured_RF: Tensor | None = None) -> Tensor:
        """The mean over the values, or over the measured ones of them."""
        if measured_RF is None:
            return self._each(said, target_RF, "mean")
        each_RF = self._each(said, target_RF, "none")
        return each_RF.where(measured_RF, 0.0).sum() / measured_RF.sum().clamp(min=1)

    def _each(self, said: Tensor, target_RF: Tensor, reduction: str) -> Tensor:
        if self.kind == "point":
            return LOSSES[self.loss_name](said, target_RF, reduction=reduction)
        if self.kind == "quantiles":
            each_RF = pinball(said, target_RF, self.levels)
        else:
            each_RF = -self._distribution(said).log_prob(target_RF)
        return each_RF.mean() if reduction == "mean" else each_RF

    def _distribution(self, said_RFP: Tensor) -> torch.distributions.Distribution:
        if self.kind == "gaussian":
            return torch.distributions.Normal(said_RFP[:, :, 0], said_RFP[:, :, 1], validate_args=False)
        return torch.distributions.StudentT(said_RFP[:, :, 2], said_RFP[:, :, 0], said_RFP[:, :, 1],
                                            validate_args=False)

    def point(self, said: Tensor) -> Tensor:
        """The one value, `[R, F]`: of quantiles the median, of a distribution its center."""
        if self.kind == "point":
            return said
        return self.quantiles(said)[:, :, self.levels.index(0.5)] if self.kind == "quantiles" else said[:, :, 0]

    def quantiles(self, said_RFP: Tensor) -> Tensor:
        """`[R, F, Q]`, rising: crossed ones are put in order, which never makes the pinball loss worse
        (Chernozhukov et al. 2010)."""
        if self.kind == "quantiles":
            return said_RFP.sort(dim=2).values
        center_RF1, width_RF1 = said_RFP[:, :, :1], said_RFP[:, :, 1:2]
        if self.kind == "gaussian":
            at_Q = torch.as_tensor(stats.norm.ppf(self.levels), dtype=said_RFP.dtype, device=said_RFP.device)
            return center_RF1 + width_RF1 * at_Q
        freedom_RF1 = said_RFP[:, :, 2:].detach().double().cpu().numpy()
        at_RFQ = torch.as_tensor(special.stdtrit(freedom_RF1, np.array(self.levels)))
        return center_RF1 + width_RF1 * at_RFQ.to(said_RFP)

    def crps(self, said_RFP: Tensor, target_RF: Tensor) -> Tensor:
        """`[R, F]`, in scaled units."""
        if self.kind == "quantiles":
            return 2 * pinball(self.quantiles(said_RFP), target_RF, self.levels)
        center_RF, width_RF = said_RFP[:, :, 0].double(), said_RFP[:, :, 1].double()
        z_RF = (target_RF.double() - center_RF) / width_RF
        if self.kind == "gaussian":
            density_RF = torch.exp(-(z_RF**2) / 2) / math.sqrt(2 * math.pi)
            return width_RF * (z_RF * torch.erf(z_RF / math.sqrt(2)) + 2 * density_RF - 1 / math.sqrt(math.pi))
        z, freedom = (each.detach().cpu().numpy() for each in (z_RF, said_RFP[:, :, 2].double()))
        spread = np.sqrt(freedom) * special.beta(0.5, freedom - 0.5) / special.beta(0.5, freedom / 2) ** 2
        density = stats.t.pdf(z, freedom) * (freedom + z**2)
        unit = z * (2 * special.stdtr(freedom, z) - 1) + 2 * (density - spread) / (freedom - 1)
        return width_RF * torch.as_tensor(unit).to(width_RF)


def pinball(quantiles_RFQ: Tensor, target_RF: Tensor, levels: tuple[float, ...]) -> Tensor:
    """`[R, F]`: the mean over the levels."""
    level_Q = torch.tensor(levels, dtype=quantiles_RFQ.dtype, device=quantiles_RFQ.device)
    error_RFQ = target_RF.unsqueeze(2) - quantiles_RFQ
    return torch.maximum(level_Q * error_RFQ, (level_Q - 1) * error_RFQ).mean(dim=2)
