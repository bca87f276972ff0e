"""A recurrent decoder over the steps ahead, with attention over the past (Bahdanau et al. 2015; of series: Fan et al.
2019).

    e_f = W_e x_f + b_e        x_f = known_f                            attention
                               x_f = [ŷ_(f-1), known_f], ŷ_0 = y_T      recursive; in training y in place of ŷ
    r_f = what the decoder reads out of e_1 … e_f and the encoder's outputs, see `models.decoder`
    said_f = W_o r_f + b_o

Without feedback no step waits for another's answer: all are one call.

Shape suffixes: B batch, T past steps, D past features, F horizon, E features known ahead, H units, Y targets, P numbers
said of each.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gatesweep.cells.config import RecurrentConfig
from gatesweep.models.decoder import Decoder, DecoderState
from gatesweep.models.encoder_decoder_config import EncoderDecoderConfig
from gatesweep.models.encoders import build_encoder
from gatesweep.models.forecaster_config import ForecastModel


class StepForecaster(nn.Module):
    """See the module; arguments and shapes as of `Forecaster`. What is fed back is the point of each output: its
    center, or the median."""

    def __init__(self, config: ForecastModel, past_size: int, future_size: int, horizon: int, targets: int = 1) -> None:
        super().__init__()
        self.targets, self.horizon, self.size = targets, horizon, config.hidden_size
        self.taught, self.forcing = config.decoder == "recursive", config.teacher_forcing
        self.says = config.parameters_a_step
        self.fed = config.levels.index(0.5) if config.output == "quantiles" else 0
        self.encoder = build_encoder(config, past_size)
        asked = (*RecurrentConfig.model_fields, "attention", "decoder_layers")
        shared = {name: getattr(config, name) for name in asked}  # whatever the family, the decoder is recurrent
        reading = EncoderDecoderConfig(**shared, embedding_size=config.hidden_size)
        self.decoder = Decoder(reading, self.encoder.output_size)
        self.read = nn.Linear(future_size + (targets if self.taught else 0), config.hidden_size)
        self.write = nn.Linear(config.hidden_size, targets * self.says)

    def forward(self, past_BTD: Tensor, future_BFE: Tensor, target_BFY: Tensor | None = None) -> Tensor:
        """`forecast_BF`, or `[B, F, Y P]` where more than one number is said.

        Args:
            target_BFY: the true values, in training.
        """
        encoded = self.encoder(past_BTD)
        lengths_B = torch.full((len(past_BTD),), past_BTD.shape[1])
        state = self.decoder.start(encoded.outputs_BTO, encoded.summary_BO, lengths_B)
        if not self.taught:
            said = self._all(future_BFE, state)
        elif target_BFY is not None and self.forcing == 1:
            before_BFY = torch.cat([past_BTD[:, -1:, : self.targets], target_BFY[:, :-1]], dim=1)
            said = self._all(torch.cat([before_BFY, future_BFE], dim=2), state)
        else:
            said = self._fed_back(past_BTD[:, -1, : self.targets], future_BFE, state, target_BFY)
        return said.squeeze(2) if said.shape[2] == 1 else said

    def _all(self, in_BFI: Tensor, state: DecoderState) -> Tensor:
        readout_BFH, _, _ = self.decoder(self.read(in_BFI), state)
        said: Tensor = self.write(readout_BFH)
        return said

    def _fed_back(self, before_BY: Tensor, future_BFE: Tensor, state: DecoderState,
                  target_BFY: Tensor | None) -> Tensor:
        said = list[Tensor]()
        for f in range(self.horizon):
            in_BI = torch.cat([before_BY, future_BFE[:, f]], dim=1)
            readout_B1H, _, state = self.decoder(self.read(in_BI).unsqueeze(1), state)
            said.append(self.write(readout_B1H))
            before_BY = said[-1].reshape(len(before_BY), self.targets, self.says)[:, :, self.fed]
            if target_BFY is not None:
                taught_B1 = torch.rand(len(before_BY), 1, device=before_BY.device) < self.forcing
                before_BY = torch.where(taught_B1, target_BFY[:, f], before_BY)
        return torch.cat(said, dim=1)
