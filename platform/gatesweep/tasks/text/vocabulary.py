"""Words by number. Built from training text alone; what it does not know is one word of its own.

Shape suffix: N tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from gatesweep.config.digest import digest
from gatesweep.errors import DataError

UNKNOWN, PADDING = "<unk>", "<pad>"


class Vocabulary:
    """Every word once, its place is its number.

    Args:
        words: in the order of their numbers.
        unknown: the word that stands for all that are not among them; none: such a word is refused.

    Raises:
        DataError: a word that comes twice.
    """

    def __init__(self, words: Sequence[str], *, unknown: str | None = UNKNOWN) -> None:
        self.words = tuple(words)
        self._numbers = {word: number for number, word in enumerate(self.words)}
        if len(self._numbers) < len(self.words):
            twice = next(word for number, word in enumerate(self.words) if self._numbers[word] != number)
            raise DataError(f"the word {twice!r} comes twice", place="vocabulary")
        self.unknown = None if unknown is None else self._numbers.get(unknown)

    @classmethod
    def build(
        cls, counts: Mapping[str, int], *, specials: Sequence[str] = (UNKNOWN,), min_count: int = 1,
        max_size: int | None = None,
    ) -> Vocabulary:  # fmt: skip
        """The most frequent words, ties in the order of the alphabet.

        Args:
            counts: of the training text's words.
            specials: come first, whatever their count.
            max_size: with the specials; none keeps every word of at least `min_count`.
        """
        given = set(specials)
        ranked = sorted((-count, word) for word, count in counts.items() if count >= min_count and word not in given)
        room = len(ranked) if max_size is None else max(0, max_size - len(specials))
        unknown = UNKNOWN if UNKNOWN in given or UNKNOWN in counts else None
        return cls([*specials, *(word for _, word in ranked[:room])], unknown=unknown)

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: str) -> bool:
        return word in self._numbers

    def number(self, word: str) -> int:
        """Of a word that it has.

        Raises:
            KeyError: it does not.
        """
        return self._numbers[word]

    def encode(self, tokens: Iterable[str]) -> NDArray[np.int64]:
        """`ids_N`.

        Raises:
            DataError: a word that is not in it, where nothing stands for unknown ones.
        """
        if self.unknown is not None:
            numbers, unknown = self._numbers, self.unknown
            return np.fromiter((numbers.get(token, unknown) for token in tokens), np.int64)
        try:
            return np.fromiter((self._numbers[token] for token in tokens), np.int64)
        except KeyError as error:
            raise DataError(f"the word {error.args[0]!r} is not in the vocabulary of {len(self)}",
                            hint="the training text had no such word, and nothing in it stands for unknown ones"
                            ) from None  # fmt: skip

    def decode(self, ids: Iterable[int]) -> list[str]:
        """The words of these numbers."""
        return [self.words[number] for number in ids]

    @cached_property
    def digest(self) -> str:
        """The same for the same words in the same order."""
        return digest(list(self.words))
