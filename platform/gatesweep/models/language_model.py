"""A language model: embedding, encoder, softmax; the loss of all words without the logits of all words at once.

    x_t = e(w_t)     h_t, s_t = encoder(x_t, s_(t-1))     p(w_(t+1) | w_1 … w_t) = softmax(W P h_t + b)

W is the embedding itself where they are tied; P is the identity unless the widths ask for a map. With dropout between
layers or a last layer of another size, every layer is an encoder of its own.

Shape suffixes: B streams, T steps, E embedding, O outputs, V vocabulary, N = B times T.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.nn import functional

from gatesweep.models.config import ModelConfig
from gatesweep.models.encoders import build_encoder
from gatesweep.models.linear_cross_entropy import Reduction, linear_cross_entropy

EMBEDDING_RANGE = 0.1


class Read(NamedTuple):
    """What the encoder made of a window."""

    outputs_BTO: Tensor
    """With dropout, in training."""

    raw_BTO: Tensor
    """Without the output's dropout."""

    state: tuple[Any, ...]


class Dropout(nn.Module):
    """Zeroes values of [B, T, ·] with probability p, in training: by one mask for all steps, or anew at each."""

    def __init__(self, p: float, *, locked: bool) -> None:
        super().__init__()
        self.p, self.locked = p, locked

    def forward(self, x_BTD: Tensor) -> Tensor:
        if not (self.training and self.p):
            return x_BTD
        if not self.locked:
            return functional.dropout(x_BTD, self.p)
        return x_BTD * functional.dropout(x_BTD.new_ones(len(x_BTD), 1, x_BTD.shape[2]), self.p)

    def extra_repr(self) -> str:
        return f"p={self.p}, locked={self.locked}"


class LanguageNetwork(nn.Module):
    """See the module.

    Args:
        config: the encoder; its own `dropout` acts after every layer.
        vocabulary: words, V.
        embedding_size: none takes the last layer's hidden size.
        last_size: hidden units of the last layer; none takes `config.hidden_size`.
        init_range: every parameter starts uniform within ± this; none leaves the encoder as it starts by itself.

    Raises:
        ConfigError: a bidirectional encoder.
    """

    def __init__(
        self, config: ModelConfig, vocabulary: int, *, embedding_size: int | None = None, tied: bool = True,
        last_size: int | None = None, embedding_dropout: float = 0.0, input_dropout: float = 0.0,
        hidden_dropout: float = 0.0, output_dropout: float = 0.0, locked: bool = True, init_range: float | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        parts = _parts(config, apart=last_size is not None or hidden_dropout > 0, last_size=last_size)
        size = embedding_size or parts[-1].hidden_size
        self.embedding = nn.Embedding(vocabulary, size)
        self.encoders, width = nn.ModuleList(), size
        for part in parts:
            encoder = build_encoder(part, width, causal=True)
            self.encoders.append(encoder)
            width = encoder.output_size
        self.map = nn.Linear(width, size, bias=False) if tied and width != size else nn.Identity()
        self.decoder = nn.Linear(size if tied else width, vocabulary)
        self.embedding_dropout = embedding_dropout
        self.input_dropout = Dropout(input_dropout, locked=locked)
        self.hidden_dropout = Dropout(hidden_dropout, locked=locked)
        self.output_dropout = Dropout(output_dropout, locked=locked)
        self._start(init_range)
        if tied:
            self.decoder.weight = self.embedding.weight

    def _start(self, init_range: float | None) -> None:
        if init_range is None:
            nn.init.uniform_(self.embedding.weight, -EMBEDDING_RANGE, EMBEDDING_RANGE)
            nn.init.uniform_(self.decoder.weight, -EMBEDDING_RANGE, EMBEDDING_RANGE)
            nn.init.zeros_(self.decoder.bias)
            return
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -init_range, init_range)

    def forward(self, ids_BT: Tensor, state: tuple[Any, ...] | None = None) -> Read:
        """Read a window, going on from the state that the one before it left."""
        x_BTD = self.input_dropout(self._embedded(ids_BT))
        states = []
        for number, encoder in enumerate(self.encoders):
            if number:
                x_BTD = self.hidden_dropout(x_BTD)
            encoded = encoder(x_BTD, state=None if state is None else state[number])
            x_BTD = encoded.outputs_BTO
            states.append(encoded.state)
        return Read(self.output_dropout(x_BTD), x_BTD, tuple(states))

    def loss(self, outputs_BTO: Tensor, targets_BT: Tensor, reduction: Reduction = "mean") -> Tensor:
        """Cross-entropy in nats; targets of -100 do not count. With `none`, one value per target, flat [N]."""
        hidden_NE = self.map(outputs_BTO).flatten(0, 1)
        return linear_cross_entropy(hidden_NE, self.decoder.weight, targets_BT.flatten(), self.decoder.bias,
                                    reduction=reduction)  # fmt: skip

    def logits(self, outputs_BTO: Tensor) -> Tensor:
        """[B, T, V]."""
        logits_BTV: Tensor = self.decoder(self.map(outputs_BTO))
        return logits_BTV

    def _embedded(self, ids_BT: Tensor) -> Tensor:
        x_BTE: Tensor = self.embedding(ids_BT)
        if not (self.training and self.embedding_dropout):
            return x_BTE
        kept_V = functional.dropout(x_BTE.new_ones(self.embedding.num_embeddings), self.embedding_dropout)
        return x_BTE * kept_V[ids_BT].unsqueeze(2)


def _parts(config: ModelConfig, *, apart: bool, last_size: int | None) -> list[ModelConfig]:
    """One encoder's configuration for all layers, or one for each."""
    if not apart:
        return [config]
    sizes = [config.hidden_size] * (config.layers - 1) + [last_size or config.hidden_size]
    return [config.model_copy(update={"layers": 1, "hidden_size": size}) for size in sizes]

