"""The classifier: vectors of the tokens, a sequence encoder, pooling, a head.

    x_t = dropout([embedding(token_t), context_t])     h = encoder(x)     logits = head(dropout([pooling(h), mean(x)]))

`embedding` is missing where the vectors are those of a BERT-type encoder alone; `context`, where they are words';
mean(x) where it is not asked for.

Shape suffixes: B batch, T steps, D width of the vectors, O outputs, K labels; N segments in all, S steps of one.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gatesweep.errors import ShapeError
from gatesweep.models.config import ModelConfig
from gatesweep.models.encoder import Encoder
from gatesweep.models.encoders import build_encoder
from gatesweep.models.pooling import Kind, Pooling


class Classifier(nn.Module):
    """See the module.

    Args:
        embedding: of token numbers; its row 0 is padding.
        context: gives each token's vector from all of them (`models.bert.BertTokens`); none where they come ready made.
        context_size: its width, or that of those; 0: there is none.
        encode: whether there is a sequence encoder.
        unknown: the number that dropped words are read as.
        word_dropout, embedding_dropout, pooled_dropout: of whole tokens, of their values, of the pooled ones.
        segment_length: steps after which the encoder starts anew; none: it reads each text in one go.
        pool_words: whether the head also sees the mean of the vectors themselves.
    """

    def __init__(
        self, config: ModelConfig, *, labels: int, embedding: nn.Embedding | None, context: nn.Module | None = None,
        context_size: int = 0, pooling: Kind = "max_mean", encode: bool = True, head_size: int | None = None,
        unknown: int = 1, word_dropout: float = 0.0, embedding_dropout: float = 0.0, pooled_dropout: float = 0.0,
        segment_length: int | None = None, pool_words: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.embedding, self.context, self.context_size = embedding, context, context_size
        self.unknown, self.word_dropout, self.segment_length = unknown, word_dropout, segment_length
        self.input_dropout = nn.Dropout(embedding_dropout)
        size = context_size + (embedding.embedding_dim if embedding is not None else 0)
        self.encoder = build_encoder(config, size) if encode else None
        outputs = self.encoder.output_size if self.encoder is not None else size
        self.pooling = Pooling(pooling, outputs)
        self.words = Pooling("mean", size) if pool_words else None
        self.pooled_dropout = nn.Dropout(pooled_dropout)
        width = self.pooling.output_size + (self.words.output_size if self.words is not None else 0)
        self.head = _head(width, head_size, labels, config.dropout)

    def forward(self, ids_BT: Tensor, lengths_B: Tensor, context_BTD: Tensor | None = None) -> Tensor:
        """`logits_BK`.

        Args:
            context_BTD: ready-made vectors of a frozen encoder.

        Raises:
            ShapeError: they are missing, or of another width than the model was made for.
        """
        x_BTD = self.input_dropout(self._vectors(self._dropped(ids_BT), lengths_B, context_BTD))
        if self.encoder is None:
            last_B = torch.arange(len(x_BTD), device=x_BTD.device)
            outputs_BTO, summary_BO = x_BTD, x_BTD[last_B, lengths_B - 1]
        elif self.segment_length is None or self.segment_length >= x_BTD.shape[1]:
            outputs_BTO, summary_BO, _ = self.encoder(x_BTD, lengths_B)
        else:
            outputs_BTO, summary_BO = _in_segments(self.encoder, x_BTD, lengths_B, self.segment_length)
        pooled_BP = self.pooling(outputs_BTO, summary_BO, lengths_B)
        if self.words is not None:
            pooled_BP = torch.cat([pooled_BP, self.words(x_BTD, summary_BO, lengths_B)], dim=1)
        logits_BK: Tensor = self.head(self.pooled_dropout(pooled_BP))
        return logits_BK

    def _dropped(self, ids_BT: Tensor) -> Tensor:
        if not (self.training and self.word_dropout):
            return ids_BT
        dropped_BT = torch.rand(ids_BT.shape, device=ids_BT.device) < self.word_dropout
        return ids_BT.masked_fill(dropped_BT & (ids_BT != 0), self.unknown)

    def _vectors(self, ids_BT: Tensor, lengths_B: Tensor, context_BTD: Tensor | None) -> Tensor:
        if self.context is not None:
            context_BTD = self.context(ids_BT, lengths_B)
        width = 0 if context_BTD is None else context_BTD.shape[2]
        if width != self.context_size:
            raise ShapeError(f"the encoder's vectors are {width} wide, and the model was made for {self.context_size}")
        found = [self.embedding(ids_BT)] if self.embedding is not None else []
        return torch.cat([*found, *([context_BTD] if context_BTD is not None else [])], dim=2)


def _in_segments(encoder: Encoder, x_BTD: Tensor, lengths_B: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """Every text cut into pieces of `steps`, which are sequences of their own (Johnson & Zhang 2016, "Supervised and
    semi-supervised text categorization using LSTM for region embeddings", section 2.3: chopping).

    Returns:
        `outputs_BTO`, 0 where a text has ended, and the summary of each text's last piece.
    """
    B, T, D = x_BTD.shape
    count = -(-T // steps)
    padded_BTD = nn.functional.pad(x_BTD, (0, 0, 0, count * steps - T))
    start_N = torch.arange(count, device=lengths_B.device).repeat(B) * steps
    left_N = lengths_B.repeat_interleave(count) - start_N
    held_N = left_N > 0
    piece_NSD, length_N = padded_BTD.reshape(B * count, steps, D)[held_N], left_N[held_N].clamp(max=steps)
    outputs_NSO, summary_NO, _ = encoder(piece_NSD, length_N)
    index_N = held_N.nonzero().squeeze(1)
    whole_NSO = outputs_NSO.new_zeros(B * count, steps, outputs_NSO.shape[2]).index_copy(0, index_N, outputs_NSO)
    last_B = held_N.reshape(B, count).sum(dim=1).cumsum(dim=0) - 1
    return whole_NSO.reshape(B, count * steps, -1)[:, :T], summary_NO[last_B]


def _head(size: int, hidden: int | None, labels: int, dropout: float) -> nn.Module:
    if hidden is None:
        return nn.Linear(size, labels)
    return nn.Sequential(nn.Linear(size, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, labels))
