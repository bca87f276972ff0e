"""Shallow fusion: a language model's opinion of what is written, added while beam search goes on.

    score(y) = log P(y | x) + λ log P_lm(y) + β |y|          Gülçehre et al. 2015, section 4.1; Hannun et al. 2014

The model is a checkpoint of a language_modeling run over the same units: a word or a character for each symbol.

Letters: L symbols written, V symbols of the recogniser, W words of the language model, M hypotheses.
"""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gatesweep.errors import ConfigError, DataError
from gatesweep.models.ctc import Prefix
from gatesweep.models.decoder import DecoderState
from gatesweep.models.encoder_decoder import EncoderDecoder
from gatesweep.models.language_model import LanguageNetwork
from gatesweep.tasks.language_modeling.config import LanguageModel
from gatesweep.tasks.language_modeling.module import build_network
from gatesweep.tasks.speech.symbols import UNKNOWN, Symbols

EOS, SPACES = "<eos>", (" ", "_")
REMEMBERED = 4096


class Language:
    """log P of what follows, by a trained network; what was asked once is remembered.

    Args:
        words: of the language model, by number.
        symbols: of the recogniser.

    Raises:
        ConfigError: the two have no symbol in common, or the language model has no end of a line.
    """

    def __init__(self, network: LanguageNetwork, words: list[str], symbols: Symbols, *, place: str) -> None:
        self.network = network.eval()
        number = {word: n for n, word in enumerate(words)}
        self.word_V = [_word_of(name, number) for name in symbols.names]
        self.known = sum(word is not None for word in self.word_V[len(symbols.specials) :])
        if EOS not in number or not self.known:
            raise ConfigError("has no end of a line" if EOS not in number else "knows none of the symbols", place=place,
                              hint="a language_modeling run over the same units, with data.eos")
        self.end, self.unknown = number[EOS], number.get(UNKNOWN)
        self._seen: OrderedDict[Prefix, tuple[NDArray[np.float64], object]] = OrderedDict()

    @classmethod
    def of_checkpoint(cls, file: Path, symbols: Symbols) -> Language:
        """From a language_modeling run's checkpoint.

        Raises:
            DataError: no such checkpoint.
        """
        try:
            saved = torch.load(file, map_location="cpu", weights_only=True)
            words, settings = list(saved["vocabulary"]), dict(saved["language_model"])
            weights = {name.removeprefix("network."): tensor for name, tensor in saved["state_dict"].items()
                       if name.startswith("network.")}  # fmt: skip
        except Exception as error:  # torch and pickle have no error of their own for a file that is something else
            raise DataError(f"is no checkpoint of a language_modeling run: {error}", place=str(file)) from error
        network = build_network(LanguageModel(**settings), len(words), seed=0)
        network.load_state_dict(weights)
        return cls(network, words, symbols, place=str(file))

    def __call__(self, prefix: Prefix) -> NDArray[np.float64]:
        """`log_probs_V` of each symbol after these; at 0, that the text ends. Of a symbol it does not know, as of its
        unknown word, or -inf."""
        return self._asked(prefix)[0]

    @torch.no_grad()
    def _asked(self, prefix: Prefix) -> tuple[NDArray[np.float64], object]:
        if prefix in self._seen:
            self._seen.move_to_end(prefix)
            return self._seen[prefix]
        state = self._asked(prefix[:-1])[1] if prefix else None
        last = self.end if not prefix else self._number(prefix[-1])
        read = self.network(torch.tensor([[last]]), state)
        log_probs_W = self.network.logits(read.outputs_BTO)[0, 0].double().log_softmax(0).numpy()
        found = np.array([-np.inf if (n := self._known(word)) is None else log_probs_W[n] for word in self.word_V])
        found[0] = log_probs_W[self.end]
        self._seen[prefix] = found, read.state
        while len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        return self._seen[prefix]

    def _known(self, word: int | None) -> int | None:
        return self.unknown if word is None else word

    def _number(self, symbol: int) -> int:
        number = self._known(self.word_V[symbol])
        return self.end if number is None else number


class FusedState(NamedTuple):
    """A decoder's state, and what each row has read: begin, then what it wrote."""

    decoder: DecoderState
    read: tuple[Prefix, ...]


class FusedDecoder:
    """An attention decoder and a language model as one: see `beam.Decodable`."""

    def __init__(self, network: EncoderDecoder, language: Language, weight: float, bonus: float, end: int) -> None:
        self.network, self.language, self.weight, self.bonus, self.end = network, language, weight, bonus, end

    def start(self, state: DecoderState, count: int) -> FusedState:
        """Before the first step."""
        return FusedState(state, ((),) * count)

    def step(self, tokens_M: Tensor, state: FusedState) -> tuple[Tensor, FusedState]:
        """The weighted sum of both, which is no distribution any more."""
        log_probs_MV, decoder = self.network.step(tokens_M, state.decoder)
        read = tuple((*row, token) for row, token in zip(state.read, tokens_M.tolist(), strict=True))
        opinion_MV = np.stack([self._opinion(row[1:]) for row in read])
        added_MV = torch.from_numpy(opinion_MV).to(log_probs_MV)
        return log_probs_MV + added_MV, FusedState(decoder, read)

    def rows(self, state: FusedState, index_M: Tensor) -> FusedState:
        """See `beam.Decodable`."""
        return FusedState(self.network.rows(state.decoder, index_M), tuple(state.read[i] for i in index_M.tolist()))

    def _opinion(self, prefix: Prefix) -> NDArray[np.float64]:
        """λ log P_lm + β of each symbol; of the end without β."""
        log_probs_V = self.language(prefix)
        opinion_V = self.weight * log_probs_V + self.bonus
        opinion_V[self.end] = self.weight * log_probs_V[0]
        return opinion_V


def _word_of(name: str, number: dict[str, int]) -> int | None:
    """The language model's number of a symbol."""
    spellings = SPACES if name == " " else (name, name.lower())
    return next((number[each] for each in spellings if each in number), None)
