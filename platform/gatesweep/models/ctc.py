"""Connectionist temporal classification: a text's probability is the sum over all its alignments with the steps.

    P(y | x) = Σ_a Π_t p_t(a_t)          over all a that become y when repeats are joined, then blanks removed
                                         Graves, Fernández, Gomez & Schmidhuber 2006, equations 2 and 3

Greedy search takes the likeliest alignment. Prefix beam search (Graves & Jaitly 2014, algorithm 1; Hannun et al. 2014)
sums the alignments of each text that begins one of the K best:

    p_b(y, t)   texts y whose alignment ends in a blank         p_n(y, t)   in y's last symbol
    score(y)  = log(p_b + p_n) + λ log P_lm(y) + β |y|

Both go step by step, so sound may come in pieces.  Shape suffixes: T steps, V symbols, the blank among them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

Prefix = tuple[int, ...]
LanguageScore = Callable[[Prefix], NDArray[np.float64]]
"""log P of each symbol after a prefix; at the blank's place, that the text ends there."""

BLANK = 0


def ctc_loss(log_probs_BTV: Tensor, steps_B: Tensor, wanted_BU: Tensor, sizes_B: Tensor) -> Tensor:
    """`loss_B` in nats: -log P(y | x); 0, without a gradient, where no alignment is long enough.

    On the CPU whatever the device: CUDA's gradient is a sum in no fixed order.
    """
    device = log_probs_BTV.device
    given = (log_probs_BTV.transpose(0, 1).cpu(), wanted_BU.cpu(), steps_B.cpu(), sizes_B.cpu())
    return functional.ctc_loss(*given, blank=BLANK, reduction="none", zero_infinity=True).to(device)


@dataclass
class Greedy:
    """The likeliest alignment, as a text."""

    ids: list[int] = field(default_factory=list)
    last: int = BLANK

    def advance(self, log_probs_TV: NDArray[np.floating]) -> None:
        """Some steps on."""
        for symbol in log_probs_TV.argmax(axis=1).tolist():
            if symbol not in (BLANK, self.last):
                self.ids.append(symbol)
            self.last = symbol

    def best(self) -> list[int]:
        """The text so far."""
        return self.ids


@dataclass
class PrefixBeam:
    """The K likeliest texts, with a language model where there is one."""

    beam: int
    language: LanguageScore | None = None
    weight: float = 0.0
    """λ"""

    bonus: float = 0.0
    """β"""

    def __post_init__(self) -> None:
        self.live: dict[Prefix, tuple[float, float]] = {(): (0.0, -np.inf)}
        self._language: dict[Prefix, float] = {(): 0.0}
        self._after: dict[Prefix, NDArray[np.float64]] = {}

    def advance(self, log_probs_TV: NDArray[np.floating]) -> None:
        """Some steps on."""
        for log_probs_V in log_probs_TV.astype(np.float64):
            self._step(log_probs_V.tolist())

    def best(self) -> list[int]:
        """The likeliest text so far; with a language model, as one that ends here."""
        ranked = [(self._score(prefix, parts, ended=True), prefix) for prefix, parts in self.live.items()]
        return list(max(ranked)[1])

    def _step(self, log_probs_V: Sequence[float]) -> None:
        found: dict[Prefix, tuple[float, float]] = {}
        symbols = [v for v, value in enumerate(log_probs_V) if v != BLANK and value > -np.inf]
        for prefix, (blank, own) in self.live.items():
            either = _add(blank, own)
            again = own + log_probs_V[prefix[-1]] if prefix else -np.inf
            _into(found, prefix, either + log_probs_V[BLANK], again)
            for v in symbols:
                before = blank if prefix and v == prefix[-1] else either
                if before > -np.inf:
                    _into(found, (*prefix, v), -np.inf, before + log_probs_V[v])
        ranked = sorted(found, key=lambda prefix: (-self._score(prefix, found[prefix]), prefix))
        self.live = {prefix: found[prefix] for prefix in ranked[: self.beam]}
        self._forget()

    def _score(self, prefix: Prefix, parts: tuple[float, float], *, ended: bool = False) -> float:
        total = _add(*parts) + self.bonus * len(prefix)
        if self.language is None:
            return total
        value = self._log_language(prefix) + (self._next(prefix)[BLANK] if ended else 0.0)
        return float(total + self.weight * value)

    def _log_language(self, prefix: Prefix) -> float:
        if prefix not in self._language:
            self._language[prefix] = float(self._log_language(prefix[:-1]) + self._next(prefix[:-1])[prefix[-1]])
        return self._language[prefix]

    def _next(self, prefix: Prefix) -> NDArray[np.float64]:
        assert self.language is not None
        if prefix not in self._after:
            self._after[prefix] = self.language(prefix)
        return self._after[prefix]

    def _forget(self) -> None:
        """What the language model said of prefixes that no live one goes on from."""
        kept = set(self.live) | {prefix[:-1] for prefix in self.live}
        self._after = {prefix: self._after[prefix] for prefix in kept if prefix in self._after}
        self._language = {prefix: self._language[prefix] for prefix in kept | {()} if prefix in self._language}


def decoded(log_probs_BTV: Tensor, steps_B: Tensor, make: Callable[[], Greedy | PrefixBeam]) -> list[list[int]]:
    """The text of each sequence, by a search of its own."""
    found = []
    for log_probs_TV, steps in zip(log_probs_BTV.detach().float().cpu().numpy(), steps_B.tolist(), strict=True):
        search = make()
        search.advance(log_probs_TV[:steps])
        found.append(list(search.best()))
    return found


def log_probability(log_probs_TV: Tensor, ids: Sequence[int]) -> float:
    """log P(y | x) of one text; -inf where no alignment is long enough."""
    steps, sizes = torch.tensor([len(log_probs_TV)]), torch.tensor([len(ids)])
    wanted = torch.tensor([list(ids) or [1]])
    return -float(functional.ctc_loss(log_probs_TV.unsqueeze(1).double(), wanted, steps, sizes, blank=BLANK,
                                      reduction="sum"))  # fmt: skip


def _add(a: float, b: float) -> float:
    """log(e^a + e^b)."""
    return float(np.logaddexp(a, b)) if a > -np.inf or b > -np.inf else -np.inf


def _into(found: dict[Prefix, tuple[float, float]], prefix: Prefix, blank: float, own: float) -> None:
    before = found.get(prefix)
    found[prefix] = (blank, own) if before is None else (_add(before[0], blank), _add(before[1], own))
