"""The embedded Reber grammar, as long as one likes.

    Reber     B → 1     1 -T→ 2   1 -P→ 3     2 -S→ 2   2 -X→ 4     3 -T→ 3   3 -V→ 5
              4 -S→ 6   4 -X→ 3   5 -P→ 4     5 -V→ 6   6 -E→ end           each way equally likely
    embedded  B x w_1 w_2 … x E      x is T or P, each w_i a string of Reber's; as many of them as make T steps or more
                                     between the two x (with T = 1 one alone: the grammar as published)

At every step but the last the next symbol is asked. All of it can be told from the last few symbols but the second x,
which alone is scored: whoever forgot the first guesses. Hochreiter & Schmidhuber 1997, section 5.1 (Smith & Zipser
1989; Cleeremans, Servan-Schreiber & McClelland 1989).
"""

from __future__ import annotations

import math

import numpy as np

from gatesweep.tasks.synthetic.problems import IGNORED, Example, Problem, Without, one_hot

SYMBOLS = "BTPSXVE"
END = 7
WAYS: dict[int, tuple[tuple[str, int], ...]] = {
    0: (("B", 1),), 1: (("T", 2), ("P", 3)), 2: (("S", 2), ("X", 4)), 3: (("T", 3), ("V", 5)),
    4: (("S", 6), ("X", 3)), 5: (("P", 4), ("V", 6)), 6: (("E", END),),
}  # fmt: skip
"""State -> the symbols that may come, and where they lead."""


class Reber(Problem):
    """See the module."""

    inputs = outputs = len(SYMBOLS)

    def draw(self, rng: np.random.Generator) -> Example:
        outer, inner = "TP"[rng.integers(2)], ""
        while len(inner) < max(1, self.length - 1):
            inner += reber_string(rng)
        ids_N = np.array([SYMBOLS.index(symbol) for symbol in f"B{outer}{inner}{outer}E"])
        labels_N = np.append(ids_N[1:], IGNORED)
        return Example(one_hot(ids_N, self.inputs), labels_N, np.arange(len(ids_N)) == len(ids_N) - 3)

    def without_memory(self, example: Example) -> Without:
        """Of whoever reads Reber's strings right, knows how many there are, and not the first symbol."""
        symbols = "".join(SYMBOLS[i] for i in example.x_ND.argmax(axis=1))
        return Without(math.log(2) * (2 + choices(symbols[2:-2])), 0.5)


def reber_string(rng: np.random.Generator) -> str:
    """A string of Reber's grammar."""
    state, made = 0, ""
    while state != END:
        ways = WAYS[state]
        symbol, state = ways[int(rng.integers(len(ways)))] if len(ways) > 1 else ways[0]
        made += symbol
    return made


def choices(inner: str) -> int:
    """At how many places of Reber's strings, one after another, there were two ways.

    Raises:
        ValueError: a symbol that the grammar does not allow.
    """
    state, found = 0, 0
    for symbol in inner:
        ways = dict(WAYS[state])
        if symbol not in ways:
            raise ValueError(f"{symbol} cannot come in state {state}")
        found += len(ways) > 1
        state = 0 if ways[symbol] == END else ways[symbol]
    return found


def follows(symbols: str) -> bool:
    """Whether these are an embedded Reber string."""
    if len(symbols) < 5 or symbols[0] + symbols[-1] != "BE":
        return False
    if symbols[1] not in "TP" or symbols[1] != symbols[-2]:
        return False
    try:
        choices(symbols[2:-2])
    except ValueError:
        return False
    return symbols[-3] == "E"
