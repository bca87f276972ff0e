"""From a text to the numbers of its tokens: words of a vocabulary, or the pieces of a BERT-type encoder."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from gatesweep.data.text import read_lines
from gatesweep.errors import DataError, UserError
from gatesweep.tasks.text.tokens import word_tokens
from gatesweep.tasks.text.vocabulary import PADDING, UNKNOWN, Vocabulary

Ids = NDArray[np.int64]


class Reader(Protocol):
    """How texts are read."""

    vocabulary: Vocabulary
    ends: tuple[Ids, Ids]
    """What stands before and after every text."""

    def read(self, texts: Iterable[str]) -> list[Ids]:
        """`ids_T` of each text, without the ends; a text without a token is one unknown."""


class Words:
    """Words, numbers and signs, those of the vocabulary."""

    ends = (np.empty(0, np.int64), np.empty(0, np.int64))

    def __init__(self, vocabulary: Vocabulary, *, lower: bool) -> None:
        self.vocabulary, self.lower = vocabulary, lower

    @classmethod
    def fit(cls, texts: Iterable[str], *, lower: bool, min_count: int, max_size: int) -> Fitted:
        """The most frequent words of these texts, which are read on the way."""
        place: dict[str, int] = {}
        drafts = [np.fromiter((place.setdefault(word, len(place)) for word in word_tokens(text, lower=lower)), np.int64)
                  for text in texts]  # fmt: skip
        count_W = np.bincount(np.concatenate([np.empty(0, np.int64), *drafts]), minlength=len(place))
        made = Vocabulary.build(dict(zip(place, count_W.tolist(), strict=True)), specials=(PADDING, UNKNOWN),
                                min_count=min_count, max_size=max_size)  # fmt: skip
        number_W = made.encode(place)
        return Fitted(cls(made, lower=lower), [number_W[draft] if len(draft) else made.encode([UNKNOWN])
                                               for draft in drafts], len(place))  # fmt: skip

    @classmethod
    def of_file(cls, path: Path, *, lower: bool) -> Words:
        """A vocabulary that is there already: one word a line, or that of a checkpoint.

        Raises:
            DataError: it holds no words.
        """
        words = _of_checkpoint(path) if path.suffix == ".ckpt" else read_lines(path)
        rest = dict.fromkeys(word for word in words if word and word not in (PADDING, UNKNOWN))
        if not rest:
            raise DataError("holds no words", place=str(path), hint="one word a line, or a run's state.ckpt")
        return cls(Vocabulary([PADDING, UNKNOWN, *rest]), lower=lower)

    def read(self, texts: Iterable[str]) -> list[Ids]:
        return [self.vocabulary.encode(word_tokens(text, lower=self.lower) or [UNKNOWN]) for text in texts]


class Fitted(NamedTuple):
    """What `Words.fit` made of texts."""

    reader: Words
    rows: list[Ids]
    distinct: int
    """Different words."""


def _of_checkpoint(path: Path) -> Sequence[str]:
    import torch

    try:
        found: Sequence[str] = torch.load(path, map_location="cpu", weights_only=True).get("vocabulary", ())
    except Exception as error:  # torch and pickle have no error of their own for a file that is something else
        raise DataError(f"is no checkpoint: {error}", place=str(path)) from error
    return found


class Pieces:
    """WordPiece (Devlin et al. 2019), with [CLS] before and [SEP] after.

    Raises:
        UserError: the package tokenizers is not installed.
    """

    def __init__(self, folder: Path) -> None:
        try:
            from tokenizers import BertWordPieceTokenizer
        except ImportError:
            raise UserError("word pieces need the package tokenizers",
                            hint="pip install 'gatesweep[pretrained]'") from None  # fmt: skip
        told = folder / "tokenizer_config.json"
        lower = json.loads(told.read_text(encoding="utf-8")).get("do_lower_case", True) if told.is_file() else True
        words = (folder / "vocab.txt").read_text(encoding="utf-8").splitlines()
        self.vocabulary = Vocabulary(words, unknown="[UNK]")
        self._tokenizer = BertWordPieceTokenizer(str(folder / "vocab.txt"), lowercase=lower)
        number = self.vocabulary.number
        self.ends = (np.array([number("[CLS]")]), np.array([number("[SEP]")]))

    def read(self, texts: Iterable[str]) -> list[Ids]:
        from gatesweep.tasks.text.tokens import MARKUP

        plain = [MARKUP.sub(" ", text) for text in texts]
        unknown = [self.vocabulary.number("[UNK]")]
        return [np.array(found.ids or unknown, np.int64)
                for found in self._tokenizer.encode_batch(plain, add_special_tokens=False)]  # fmt: skip


def shortened(ids_T: Ids, longest: int, cut: Literal["end", "start", "middle"], ends: tuple[Ids, Ids]) -> Ids:
    """At most `longest` tokens, the ends among them; what of a longer text is left out is `cut`."""
    room = max(1, longest - len(ends[0]) - len(ends[1]))
    if len(ids_T) > room:
        first = {"end": room, "start": 0, "middle": room // 2}[cut]
        ids_T = np.concatenate([ids_T[:first], ids_T[len(ids_T) - (room - first) :]])
    return np.concatenate([ends[0], ids_T, ends[1]])


def unknowns(rows: Sequence[Ids], vocabulary: Vocabulary) -> int:
    """Tokens that the vocabulary lacks."""
    return sum(int((ids_T == vocabulary.unknown).sum()) for ids_T in rows)
