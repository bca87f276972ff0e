"""Text as symbols by sentencepiece: learnt from training text alone, with one thread, so that the same text gives the
same model; kept as bytes, which a checkpoint holds as a tensor.

    <pad> 0     <unk> 1     <s> 2     </s> 3
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gatesweep.errors import DataError, UserError

PAD, UNKNOWN, BEGIN, END = range(4)


class Subwords:
    """One side's symbols.

    Args:
        proto: sentencepiece's model, as bytes.
    """

    def __init__(self, proto: bytes) -> None:
        self.proto = proto

    @classmethod
    def learn(cls, lines: Iterable[str], *, units: str, size: int, place: str) -> Subwords:
        """From training text; where it has not as many symbols as `size`, those that there are.

        Raises:
            DataError: the text has more characters than `size`, or none at all.
        """
        written = io.BytesIO()
        try:
            _sentencepiece().SentencePieceTrainer.train(
                sentence_iterator=iter(lines), model_writer=written, model_type=units, vocab_size=size,
                hard_vocab_limit=False, character_coverage=1.0 if units != "char" else 0.9995, num_threads=1,
                pad_id=PAD, unk_id=UNKNOWN, bos_id=BEGIN, eos_id=END, shuffle_input_sentence=False,
                normalization_rule_name="identity", max_sentence_length=1 << 16, minloglevel=2,
            )  # fmt: skip
        except (RuntimeError, OSError) as error:
            said = " ".join(str(error).split())
            raise DataError(f"no {units} model of {size} symbols can be learnt from this text: {said[-160:]}",
                            place=place, hint="a larger data.vocabulary has room for every character of it") from error
        return cls(written.getvalue())

    @classmethod
    def from_tensor(cls, proto: Tensor) -> Subwords:
        """As `tensor` gave it."""
        return cls(proto.cpu().numpy().tobytes())

    @property
    def tensor(self) -> Tensor:
        """The model's bytes, for a checkpoint."""
        return torch.frombuffer(bytearray(self.proto), dtype=torch.uint8)

    def __len__(self) -> int:
        return int(self._model.get_piece_size())

    def encode(self, lines: Sequence[str]) -> list[NDArray[np.int64]]:
        """`ids` of each line, without begin and end."""
        return [np.asarray(ids, np.int64) for ids in self._model.encode(list(lines), num_threads=1)]

    def sample(self, lines: Sequence[str], order: float, seed: int) -> list[NDArray[np.int64]]:
        """`ids` of each line, cut another way for another seed: see `TranslationData.resample`.

        sentencepiece's generator is one for the whole process; the threads that it encodes in are new each time and
        begin with the seed, so nothing before has a say.
        """
        _sentencepiece().set_random_generator_seed(seed)
        rows = self._model.encode(list(lines), num_threads=1, enable_sampling=True, alpha=order, nbest_size=-1)
        return [np.asarray(ids, np.int64) for ids in rows]

    def decode(self, rows: Sequence[Sequence[int]]) -> list[str]:
        """Running text again, without marks of subwords."""
        return [str(line) for line in self._model.decode([[int(i) for i in row] for row in rows], num_threads=1)]

    def pieces(self, ids: Iterable[int]) -> list[str]:
        """Each symbol as it is written in the vocabulary."""
        return [str(self._model.id_to_piece(int(i))) for i in ids]

    @cached_property
    def _model(self) -> Any:
        return _sentencepiece().SentencePieceProcessor(model_proto=self.proto)


def _sentencepiece() -> Any:
    try:
        import sentencepiece
    except ImportError as error:
        raise UserError("translation needs sentencepiece, which is not installed",
                        hint="pip install 'sentencepiece>=0.2.3,<0.3'") from error
    return sentencepiece
