"""A recurrence over pieces of a series: fewer, longer steps, and all pieces ahead at once (Lin et al. 2023, SegRNN).

    s_i = ReLU(W_s [x_(iw) … x_(iw+w-1)] + b_s)                  pieces of w steps, with all their features
    h   = encoder(s_1 … s_(T/w))
    q_j = p_j + W_q [known_(jw) … known_(jw+w-1)]                a learnt position, and what is known ahead of piece j
    d_j = one step of a decoder of the same cell, from the bridge's state of h, reading q_j
    [ŷ_(jw) … ŷ_(jw+w-1)] = W_o d_j + b_o

The published model goes on with the encoder's own weights; here the decoder has its own, so that every family encodes.
A cell without a bridge (mlstm) reads q_j + W_h h.

Shape suffixes: B batch, T past steps, D past features, F horizon, E features known ahead, S pieces of the past, J
ahead, W steps of a piece, H units, Y targets (times numbers said of each).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from gatesweep.cells.layer import Recurrent
from gatesweep.errors import ConfigError
from gatesweep.models.decoder import Bridge
from gatesweep.models.encoders import build_encoder
from gatesweep.models.forecaster_config import ForecastModel


class SegmentForecaster(nn.Module):
    """See the module; arguments and shapes as of `Forecaster`."""

    def __init__(self, config: ForecastModel, past_size: int, future_size: int, horizon: int, targets: int = 1) -> None:
        super().__init__()
        width, self.piece, self.horizon, self.targets = config.hidden_size, config.segment, horizon, targets
        self.ahead = -(-horizon // self.piece)
        self.read = nn.Linear(self.piece * past_size, width)
        self.input_dropout = nn.Dropout(config.input_dropout)
        self.encoder = build_encoder(config, width)
        common = config.arguments() | {"bidirectional": False, "batch_first": True, "num_layers": 1}
        self.decoder = Recurrent(input_size=width, **common)
        self.bridge = Bridge(self.decoder, self.encoder.output_size)
        self.position_JH = nn.Parameter(0.1 * torch.randn(self.ahead, width))
        self.ask = None if self.bridge.sizes else nn.Linear(self.encoder.output_size, width, bias=False)
        self.known = nn.Linear(self.piece * future_size, width, bias=False) if future_size else None
        self.dropout = nn.Dropout(config.dropout)
        self.write = nn.Linear(self.decoder.output_size, self.piece * targets)

    def forward(self, past_BTD: Tensor, future_BFE: Tensor) -> Tensor:
        """`forecast_BF`, or `forecast_BFY` where Y is above 1.

        Raises:
            ConfigError: pieces that do not fit the lookback.
        """
        B, T, _ = past_BTD.shape
        if T % self.piece:
            raise ConfigError(f"model.segment: pieces of {self.piece} steps do not divide data.lookback {T}",
                              hint=f"a lookback of {T // self.piece * self.piece or self.piece}")
        pieces_BSH = self.input_dropout(self.read(past_BTD.reshape(B, T // self.piece, -1)).relu())
        encoded = self.encoder(pieces_BSH)
        query_BJH = self.position_JH.expand(B, -1, -1)
        if self.ask is not None:
            query_BJH = query_BJH + self.ask(encoded.summary_BO).unsqueeze(1)
        if self.known is not None:
            padded_BFE = functional.pad(future_BFE, (0, 0, 0, self.ahead * self.piece - self.horizon))
            query_BJH = query_BJH + self.known(padded_BFE.reshape(B, self.ahead, -1))
        state = _repeated(self.bridge(encoded.summary_BO), self.ahead)
        steps_M1H, _ = self.decoder(query_BJH.reshape(B * self.ahead, 1, -1), state)
        forecast_BFY = self.write(self.dropout(steps_M1H)).reshape(B, self.ahead * self.piece, self.targets)
        forecast_BFY = forecast_BFY[:, : self.horizon]
        return forecast_BFY.squeeze(2) if self.targets == 1 else forecast_BFY


def _repeated(state: Any, times: int) -> Any:
    """A state of B sequences as that of B times `times`, the copies of one side by side."""
    if isinstance(state, Tensor):
        return state.repeat_interleave(times, dim=1)
    return tuple(_repeated(each, times) for each in state) if isinstance(state, tuple) else state
