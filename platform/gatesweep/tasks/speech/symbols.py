"""The symbols of a text, and what a label is: numbers that the network writes.

    label       0 … K - 1, in the alphabet's order
    frames, ctc 0 the blank (silence), 1 unknown, then the symbols
    attention   0 padding, 1 begin, 2 end, 3 unknown, then the symbols
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Units = Literal["char", "word", "phone"]
UNKNOWN = "<unk>"
BLANK = 0
PAD, BEGIN, END = 0, 1, 2
SPECIALS = {"label": (), "frames": ("<blank>", UNKNOWN), "ctc": ("<blank>", UNKNOWN),
            "attention": ("<pad>", "<begin>", "<end>", UNKNOWN)}  # fmt: skip


def cut(text: str, units: Units) -> list[str]:
    """A text in its symbols."""
    return list(text) if units == "char" else text.split()


class Symbols:
    """Every symbol once; its place is its number.

    Args:
        output: of the model, which says what comes before the symbols.
    """

    def __init__(self, symbols: Iterable[str], units: Units, output: str) -> None:
        self.specials = SPECIALS[output]
        self.names = (*self.specials, *symbols)
        self.units = units
        self._number = {name: number for number, name in enumerate(self.names)}

    @classmethod
    def learn(cls, texts: Sequence[str], units: Units, output: str) -> Symbols:
        """Those of the training texts, in the alphabet's order."""
        return cls(sorted({symbol for text in texts for symbol in cut(text, units)}), units, output)

    def __len__(self) -> int:
        return len(self.names)

    def __contains__(self, symbol: str) -> bool:
        return symbol in self._number

    def number(self, name: str) -> int:
        """Of a symbol that is there."""
        return self._number[name]

    def encode(self, text: str) -> NDArray[np.int64]:
        """Numbers of a text's symbols."""
        unknown = self._number[UNKNOWN]
        return np.array([self._number.get(symbol, unknown) for symbol in cut(text, self.units)], np.int64)

    def decode(self, ids: Iterable[int]) -> str:
        """The text of symbols; blanks, begins and ends are none."""
        silent = [name for name in self.specials if name != UNKNOWN]
        written = [self.names[number] for number in ids if self.names[number] not in silent]
        joined = ("" if self.units == "char" else " ").join(written)
        return " ".join(joined.split())
