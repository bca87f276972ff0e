"""Text as numbers: a vocabulary from the training lines alone, and the ids of every split.

A word that the vocabulary lacks is `<unk>`: counted for each split, and said. Letters: N tokens, V words, L lines.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from gatesweep.config.digest import digest
from gatesweep.errors import DataError
from gatesweep.tasks.language_modeling.config import WORD_FILES, LanguageData
from gatesweep.tasks.text.tokens import word_tokens
from gatesweep.tasks.text.vocabulary import UNKNOWN, Vocabulary

EOS = "<eos>"
SPACE = "_"
"""What stands for a space among characters, as in character PTB."""

Ids = NDArray[np.int64]
KEPT = 4
_cache: OrderedDict[str, Corpus] = OrderedDict()


@dataclass(frozen=True)
class Part:
    """One split."""

    ids_N: Ids
    lines: int
    empty: int
    """Lines without a word."""
    unknown: int
    """Tokens that the vocabulary lacks."""


@dataclass(frozen=True)
class Corpus:
    """Shared between the trainings of a process: nobody writes to it."""

    vocabulary: Vocabulary
    parts: Mapping[str, Part]
    distinct: int
    """Different words of the training text, before any became `<unk>`."""
    said: tuple[str, ...] = ()
    """What the reading had to say."""

    @property
    def counts_V(self) -> Ids:
        """Of each word, in the training text."""
        return np.bincount(self.parts["train"].ids_N, minlength=len(self.vocabulary))

    @property
    def eos(self) -> int:
        """Its number; what every text is read after."""
        return self.vocabulary.number(EOS)


def tokens_of(line: str, data: LanguageData) -> list[str]:
    """The units of a line, without `<eos>`."""
    words = word_tokens(line) if data.signs else line.split()
    return list(SPACE.join(words)) if data.characters else words


def text_of(tokens: Sequence[str], data: LanguageData) -> str:
    """Tokens as running text: a line ends at `<eos>`."""
    if data.characters:
        return "".join("\n" if token == EOS else token for token in tokens).replace(SPACE, " ")
    return "\n".join(" ".join(line) for line in _lines(tokens))


def _lines(tokens: Sequence[str]) -> list[list[str]]:
    lines: list[list[str]] = [[]]
    for token in tokens:
        if token == EOS:
            lines.append([])
        else:
            lines[-1].append(token)
    return lines


def build(lines: Mapping[str, Sequence[str]], data: LanguageData, said: tuple[str, ...] = ()) -> Corpus:
    """Vocabulary and numbers.

    Args:
        lines: of each split.

    Raises:
        DataError: no training text.
    """
    train, known = list(lines["train"]), data.name in WORD_FILES
    train = train[: max(1, round(data.fraction * len(train)))]
    tokens = {name: [tokens_of(line, data) for line in (train if name == "train" else part)]
              for name, part in lines.items()}  # fmt: skip
    counts = Counter(chain.from_iterable(tokens["train"]))
    if not counts:
        raise DataError("the training text has no word", place="train")
    brings = known or UNKNOWN in counts
    least = data.min_count or (1 if brings else 2)
    specials = [EOS] if known and UNKNOWN not in counts else [EOS, UNKNOWN]
    vocabulary = Vocabulary.build(counts, specials=specials, min_count=least, max_size=data.max_vocabulary)
    parts = {name: number(part, vocabulary, data, place=name) for name, part in tokens.items()}
    return Corpus(vocabulary, parts, len(counts), said)


def number(tokens: Sequence[Sequence[str]], vocabulary: Vocabulary, data: LanguageData, *, place: str) -> Part:
    """One split's lines as ids.

    Raises:
        DataError: no word at all, or one that nothing stands for.
    """
    try:
        ids_N = vocabulary.encode(_flat(tokens, data))
    except DataError as error:
        raise DataError(error.message, place=place, hint=error.hint) from None
    if len(ids_N) < 2:
        raise DataError("the text has no word", place=place)
    strange = sum(token not in vocabulary for line in tokens for token in line)
    return Part(ids_N, len(tokens), sum(not line for line in tokens), strange)


def _flat(tokens: Iterable[Sequence[str]], data: LanguageData) -> Iterable[str]:
    ending = (EOS,) if data.eos else ()
    return chain.from_iterable((*line, *ending) for line in tokens)


def kept(data: LanguageData, md5: str, make: Callable[[], Corpus]) -> Corpus:
    """What this process has made of the same settings and bytes, or what `make` makes now."""
    shaping = data.model_dump(mode="json", exclude={"bptt", "variable_bptt", "eval_streams", "loss", "path"})
    key = digest([shaping, md5])
    if key not in _cache:
        _cache[key] = make()
        while len(_cache) > KEPT:
            _cache.popitem(last=False)
    _cache.move_to_end(key)
    return _cache[key]


def characters_V(vocabulary: Vocabulary, data: LanguageData) -> Ids:
    """Characters that each token stands for: a word and the space after it, a line's end, or itself."""
    if data.characters:
        return np.ones(len(vocabulary), np.int64)
    return np.array([1 if word == EOS else len(word) + 1 for word in vocabulary.words])
