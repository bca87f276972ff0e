"""One sequence of symbols in, another out: embeddings, an encoder, a decoder with attention, the output layer.

    P(y_u | y_<u, x) = softmax(W r_u + b)          r_u as `decoder.py` says; W the target's embeddings where tied

Embeddings are drawn from N(0, 1/E) and read times √E (Vaswani et al. 2017, section 3.4): inputs of unit size, and
small logits where the same numbers are the output layer's.

Shape suffixes: B batch, T steps of the source, U of the target, E embedding, V target's vocabulary, M rows.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from gatesweep.models.decoder import Decoder, DecoderState
from gatesweep.models.encoder_decoder_config import EncoderDecoderConfig
from gatesweep.models.encoders import build_encoder
from gatesweep.models.linear_cross_entropy import linear_cross_entropy


class EncoderDecoder(nn.Module):
    """Symbols are numbers; which of them mean what is the caller's business.

    Args:
        source_vocabulary, target_vocabulary: how many symbols; where `tie` is all, one number for both. A source that
            comes as vectors has a module in the place of a number, which gives what the encoder reads, `size` wide.
    """

    def __init__(self, config: EncoderDecoderConfig, source_vocabulary: int | nn.Module,
                 target_vocabulary: int) -> None:
        super().__init__()
        self.config, size = config, config.embedding_size
        self.target = Embedding(target_vocabulary, config)
        if isinstance(source_vocabulary, nn.Module):
            self.source: nn.Module = source_vocabulary
        else:
            self.source = self.target if config.tie == "all" else Embedding(source_vocabulary, config)
        width: Any = self.source.size
        self.encoder = build_encoder(config, width)
        self.decoder = Decoder(config, self.encoder.output_size)
        self.bias_V = nn.Parameter(torch.zeros(target_vocabulary))
        self.own = None
        if config.tie == "none":
            self.own = nn.Parameter(torch.randn(target_vocabulary, size) / math.sqrt(size))

    @property
    def weight_VE(self) -> Tensor:
        """The output layer's weights."""
        return self.target.weight_VE if self.own is None else self.own

    def encode(self, source_BT: Tensor, lengths_B: Tensor) -> DecoderState:
        """Read the sources: the state of the decoder before its first step."""
        encoded = self.encoder(self.source(source_BT), lengths_B)
        return self.decoder.start(encoded.outputs_BTO, encoded.summary_BO, lengths_B)

    def forward(self, source_BT: Tensor, lengths_B: Tensor, given_BU: Tensor) -> tuple[Tensor, Tensor]:
        """What the output layer reads of every step, `readout_BUE`, given the symbols before each; and `a_BUT`."""
        readout_BUE, a_BUT, _ = self.decoder(self.target(given_BU), self.encode(source_BT, lengths_B))
        return readout_BUE, a_BUT

    def sampled(self, source_BT: Tensor, lengths_B: Tensor, given_BU: Tensor, truth: float) -> Tensor:
        """As `forward`, but each symbol is the true one with probability `truth`, else the model's own likeliest
        (Bengio et al. 2015, "Scheduled sampling"): a loop over the target's steps."""
        state, readouts = self.encode(source_BT, lengths_B), list[Tensor]()
        tokens_B = given_BU[:, 0]
        for u in range(given_BU.shape[1]):
            if u:
                own_B = self.logits(readouts[-1].squeeze(1).detach()).argmax(1)
                tokens_B = torch.where(torch.rand(len(own_B), device=own_B.device) < truth, given_BU[:, u], own_B)
            readout_B1E, _, state = self.decoder(self.target(tokens_B.unsqueeze(1)), state)
            readouts.append(readout_B1E)
        return torch.cat(readouts, dim=1)

    def loss(self, readout_BUE: Tensor, wanted_BU: Tensor, *, padding: int, smoothing: float = 0.0) -> Tensor:
        """Mean cross-entropy in nats of the symbols that are no padding."""
        return linear_cross_entropy(readout_BUE.flatten(0, 1), self.weight_VE, wanted_BU.flatten(), self.bias_V,
                                    ignore_index=padding, label_smoothing=smoothing)  # fmt: skip

    def logits(self, readout_ME: Tensor) -> Tensor:
        """`logits_MV`."""
        return functional.linear(readout_ME, self.weight_VE, self.bias_V)

    def step(self, tokens_M: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState]:
        """One step of a search: see `beam.Decodable`."""
        readout_M1E, _, state = self.decoder(self.target(tokens_M.unsqueeze(1)), state)
        return self.logits(readout_M1E.squeeze(1)).log_softmax(1), state

    def rows(self, state: DecoderState, index_M: Tensor) -> DecoderState:
        """See `beam.Decodable`."""
        return state.rows(index_M)


class Embedding(nn.Module):
    """Symbols as vectors of unit size, some of them dropped in training."""

    def __init__(self, vocabulary: int, config: EncoderDecoderConfig) -> None:
        super().__init__()
        self.weight_VE = nn.Parameter(torch.randn(vocabulary, config.embedding_size) / math.sqrt(config.embedding_size))
        self.values, self.words, self.size = config.embedding_dropout, config.word_dropout, config.embedding_size

    def forward(self, ids_BT: Tensor) -> Tensor:
        """`embedded_BTE`."""
        embedded_BTE = functional.embedding(ids_BT, self.weight_VE) * math.sqrt(self.weight_VE.shape[1])
        if self.training and self.words > 0:
            kept_BT1 = torch.rand(*ids_BT.shape, 1, device=ids_BT.device) >= self.words
            embedded_BTE = embedded_BTE * kept_BT1 / (1 - self.words)
        return functional.dropout(embedded_BTE, self.values, self.training)
