"""The problems: what an example is, what is asked of it, and what can be said without memory.

Letters: T = `length`, S = `span`, K = `symbols`, D inputs of a step, N steps of an example, C classes.

    adding    N = T, D = 2: u_t uniform in [0, 1), and a mark that is 1 at one step of each half (the first step of the
              second half is T // 2), else 0. Asked at the end: the sum of the two marked numbers. Whoever always says 1
              has a mean square error of 1/6. Hochreiter & Schmidhuber 1997, section 5.4, as Le, Jaitly & Hinton 2015
              and Arjovsky, Shah & Bengio 2016 have it.
    copy      N = T + 2 S, C = D - 1 = K + 1: S symbols, T - 1 blanks, a sign to answer, S blanks; asked at every step:
              a blank, until the last S steps, which are to repeat the string. Without memory: S ln K / (T + 2 S) nats
              a step. Arjovsky et al. 2016, section 4.1.
    recall    N = T + 2, C = K: one of K symbols, T distractors (one of K others each), a sign to answer, where the
              first symbol is asked. Without memory: ln K.
    parity    N = T, D = 1, C = 2: bits; asked at every step: the parity of all bits so far. Without memory: ln 2.
    reber     see `reber`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gatesweep.tasks.synthetic.config import SyntheticData

IGNORED = -100
"""A label that is none: nothing is asked at that step."""

CLOSE = 0.04
"""Of adding: an answer is right whose error is below that (Hochreiter & Schmidhuber 1997, section 5.4)."""


class Example(NamedTuple):
    """One sequence of N steps."""

    x_ND: NDArray[np.float32]

    labels_N: NDArray[np.int64]
    """What is asked at each step; `IGNORED` where nothing is."""

    scored_N: NDArray[np.bool_]
    """At which steps an answer counts for accuracy: those that need the memory."""

    value: float = 0.0
    """Of adding: what is asked of the whole."""


class Without(NamedTuple):
    """What is to be expected of an example by whoever knows the problem and remembers nothing."""

    loss: float
    """Summed over what is asked."""

    right: float
    """Right answers among the scored ones."""


class Problem(ABC):
    """How examples are drawn."""

    inputs: int
    """D."""

    outputs: int
    """C; 1 where a number is asked."""

    regression = False

    def __init__(self, data: SyntheticData) -> None:
        self.data, self.length = data, data.length

    @abstractmethod
    def draw(self, rng: np.random.Generator) -> Example:
        """An example."""

    @abstractmethod
    def without_memory(self, example: Example) -> Without:
        """See `Without`."""


class Adding(Problem):
    inputs, outputs, regression = 2, 1, True

    def draw(self, rng: np.random.Generator) -> Example:
        T, half = self.length, self.length // 2
        x_ND = np.zeros((T, 2), np.float32)
        x_ND[:, 0] = rng.random(T, dtype=np.float32)
        marked = [int(rng.integers(0, half)), int(rng.integers(half, T))]
        x_ND[marked, 1] = 1.0
        return Example(x_ND, np.full(T, IGNORED), np.zeros(T, bool), float(x_ND[marked, 0].sum(dtype=np.float64)))

    def without_memory(self, example: Example) -> Without:
        error = abs(example.value - 1.0)
        return Without(error**2, float(error < CLOSE))


class Copy(Problem):
    def __init__(self, data: SyntheticData) -> None:
        super().__init__(data)
        self.inputs, self.outputs = data.symbols + 2, data.symbols + 1

    def draw(self, rng: np.random.Generator) -> Example:
        T, S, K = self.length, self.data.span, self.data.symbols
        blank, sign, N = K, K + 1, T + 2 * S
        string_S = rng.integers(0, K, S)
        shown_N = np.full(N, blank)
        shown_N[:S], shown_N[S + T - 1] = string_S, sign
        labels_N = np.full(N, blank)
        labels_N[-S:] = string_S
        return Example(one_hot(shown_N, self.inputs), labels_N, np.arange(N) >= N - S)

    def without_memory(self, example: Example) -> Without:
        S, K = self.data.span, self.data.symbols
        return Without(S * math.log(K), S / K)


class Recall(Problem):
    def __init__(self, data: SyntheticData) -> None:
        super().__init__(data)
        self.inputs, self.outputs = 2 * data.symbols + 1, data.symbols

    def draw(self, rng: np.random.Generator) -> Example:
        T, K = self.length, self.data.symbols
        shown_N = np.concatenate([rng.integers(0, K, 1), K + rng.integers(0, K, T), [2 * K]])
        labels_N = np.full(T + 2, IGNORED)
        labels_N[-1] = shown_N[0]
        return Example(one_hot(shown_N, self.inputs), labels_N, labels_N != IGNORED)

    def without_memory(self, example: Example) -> Without:
        return Without(math.log(self.data.symbols), 1 / self.data.symbols)


class Parity(Problem):
    inputs, outputs = 1, 2

    def draw(self, rng: np.random.Generator) -> Example:
        bits_N = rng.integers(0, 2, self.length)
        return Example(bits_N[:, None].astype(np.float32), np.cumsum(bits_N) % 2, np.ones(self.length, bool))

    def without_memory(self, example: Example) -> Without:
        """The first step's parity is the bit itself."""
        return Without((self.length - 1) * math.log(2), 1 + (self.length - 1) / 2)


def one_hot(shown_N: NDArray[np.int64], size: int) -> NDArray[np.float32]:
    """[N, size]."""
    return np.eye(size, dtype=np.float32)[shown_N]


def problem_of(data: SyntheticData) -> Problem:
    """The problem that the configuration names."""
    from gatesweep.tasks.synthetic.reber import Reber

    kinds: dict[str, type[Problem]] = {"adding": Adding, "copy": Copy, "recall": Recall, "parity": Parity,
                                       "reber": Reber}  # fmt: skip
    return kinds[data.problem](data)
