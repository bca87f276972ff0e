"""A recurrent decoder with attention: all steps of a known target in one call, or one step at a time.

    e_u = embedding of y_(u-1)                                    with input feeding [e_u; r_(u-1)], r_0 = 0
    h_u = lower(e_u)              the first recurrent layer; its state begins as the bridge makes it of the summary
    c_u = attention(h_u)
    g_u = upper([h_u; c_u])       the layers above, where there are any: what was looked at stays in their memory
    r_u = tanh(W [g_u; c_u])      what the output layer reads                       Luong et al. 2015, eq. 5

Without input feeding no step waits for another's answer, so `lower`, attention and `upper` each see all steps at once.

Shape suffixes: B batch, U steps of the target, E embedding, H hidden units, O encoder's outputs, N layers, T source.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from gatesweep.cells.layer import Recurrent
from gatesweep.cells.parameters import Parameters
from gatesweep.models.attention import Memory, build_attention
from gatesweep.models.encoder_decoder_config import EncoderDecoderConfig


class DecoderState(NamedTuple):
    """Between two steps."""

    memory: Memory
    lower: Any
    """As the layer gives it: tensors with the batch second; none before the first step of a cell without a bridge."""

    upper: Any
    readout_BE: Tensor
    """What the step before gave to the output layer."""

    def rows(self, index_M: Tensor) -> DecoderState:
        """The state of these sentences, in this order; one may come several times."""
        return DecoderState(self.memory.rows(index_M), _rows(self.lower, index_M), _rows(self.upper, index_M),
                            self.readout_BE.index_select(0, index_M))  # fmt: skip


class Decoder(nn.Module):
    """Target embeddings in, what the output layer reads out.

    Args:
        value_size: width of the encoder's outputs, O.
    """

    def __init__(self, config: EncoderDecoderConfig, value_size: int) -> None:
        super().__init__()
        size, embedding = config.decoder_size or value_size, config.embedding_size
        self.input_feeding, self.embedding_size = config.input_feeding, embedding
        common = config.arguments() | {"hidden_size": size, "bidirectional": False, "batch_first": True}
        fed = embedding * (2 if config.input_feeding else 1)
        self.lower = Recurrent(input_size=fed, **common | {"num_layers": 1})
        width = self.lower.output_size
        self.attention = build_attention(config.attention, width, value_size)
        above = config.decoder_layers - 1
        self.upper = Recurrent(input_size=width + value_size, **common | {"num_layers": above}) if above else None
        self.bridge = Bridge(self.lower, value_size)
        self.bridge_up = Bridge(self.upper, value_size) if self.upper is not None else None
        self.dropout = nn.Dropout(config.dropout)
        self.readout = nn.Linear(width + value_size, embedding)

    def start(self, outputs_BTO: Tensor, summary_BO: Tensor, lengths_B: Tensor) -> DecoderState:
        """Before the first step."""
        memory = self.attention.remember(outputs_BTO, summary_BO, lengths_B)
        upper = None if self.bridge_up is None else self.bridge_up(summary_BO)
        return DecoderState(memory, self.bridge(summary_BO), upper,
                            summary_BO.new_zeros(len(summary_BO), self.embedding_size))  # fmt: skip

    def forward(self, embedded_BUE: Tensor, state: DecoderState) -> tuple[Tensor, Tensor, DecoderState]:
        """Read U symbols that are known.

        Returns:
            `readout_BUE` after dropout, the weights `a_BUT`, and the state after the last step.
        """
        if not self.input_feeding:
            return self._run(embedded_BUE, state)
        readouts, weights = [], []
        for embedded_BE in embedded_BUE.unbind(1):
            fed_B1F = torch.cat([embedded_BE, state.readout_BE], dim=1).unsqueeze(1)
            readout_B1E, a_B1T, state = self._run(fed_B1F, state)
            readouts.append(readout_B1E)
            weights.append(a_B1T)
        return torch.cat(readouts, dim=1), torch.cat(weights, dim=1), state

    def _run(self, in_BUF: Tensor, state: DecoderState) -> tuple[Tensor, Tensor, DecoderState]:
        h_BUH, lower = self.lower(in_BUF, state.lower)
        h_BUH = self.dropout(h_BUH)
        context_BUO, a_BUT = self.attention(h_BUH, state.memory)
        top_BUH, upper = h_BUH, None
        if self.upper is not None:
            top_BUH, upper = self.upper(torch.cat([h_BUH, context_BUO], dim=2), state.upper)
            top_BUH = self.dropout(top_BUH)
        readout_BUE = self.dropout(torch.tanh(self.readout(torch.cat([top_BUH, context_BUO], dim=2))))
        return readout_BUE, a_BUT, DecoderState(state.memory, lower, upper, readout_BUE[:, -1])


class Bridge(nn.Module):
    """From the encoder's summary to the state that layers begin with.

        h = tanh(W_h s + b_h)      c = W_c s + b_c      of each layer; what else a cell carries begins as it always does

    So does c where the first step erases it (slstm), and a memory that is a matrix (mlstm).
    """

    def __init__(self, layers: Any, summary_size: int) -> None:
        super().__init__()
        self.maps = nn.ModuleDict()
        self.begin: dict[str, float] = {}
        self.sizes: dict[str, tuple[int, int]] = {}
        if isinstance(layers, Parameters):
            for name, (count, _, width) in layers.state_sizes().items():
                self.sizes[name], self.begin[name] = (count, width), layers.cell.initial.get(name, 0.0)
                if name == "h" or (name == "c" and not layers.cell.initial):
                    self.maps[name] = nn.Linear(summary_size, count * width)

    def forward(self, summary_BO: Tensor) -> Any:
        """The state as the layers take it."""
        if not self.sizes:
            return None
        return tuple(self._first(name, summary_BO) for name in self.sizes)

    def _first(self, name: str, summary_BO: Tensor) -> Tensor:
        count, width = self.sizes[name]
        if name not in self.maps:
            return summary_BO.new_full((count, len(summary_BO), width), self.begin[name])
        first_NBH: Tensor = self.maps[name](summary_BO).unflatten(1, (count, width)).transpose(0, 1).contiguous()
        return first_NBH.tanh() if name == "h" else first_NBH


def _rows(state: Any, index_M: Tensor) -> Any:
    if isinstance(state, Tensor):
        return state.index_select(1, index_M)
    return tuple(_rows(each, index_M) for each in state) if isinstance(state, tuple) else state
