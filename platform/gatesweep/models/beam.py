"""Greedy and beam search over any decoder, for a batch of sentences at once.

    score(Y) = log P(Y) / lp(|Y|)          lp(n) = ((5 + n) / 6)^α             Wu et al. 2016, eq. 14, without coverage

|Y| counts the end of the sentence. In each step the best 2 K continuations of a sentence's K hypotheses are looked at:
ends among the first K are finished hypotheses, the first K that are no ends live on. A sentence is done when K have
finished, or when no live one can still overtake the best that has. With K = 1 that is greedy search.

Shape suffixes: B sentences, K hypotheses of each, M rows of the batch (open sentences times K), V vocabulary, L steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor

S = TypeVar("S")


class Decodable(Protocol[S]):
    """What can be searched: a step, and a state whose rows can be chosen."""

    def step(self, tokens_M: Tensor, state: S) -> tuple[Tensor, S]:
        """`log_probs_MV` of what follows `tokens_M`, and the state after them."""

    def rows(self, state: S, index_M: Tensor) -> S:
        """The state of these rows, in this order; one may come several times."""


class Found(NamedTuple):
    """One sentence's output."""

    ids: list[int]
    """Without the end."""

    score: float
    """log P / lp; greedy: log P."""


@dataclass(frozen=True)
class Search:
    """How far and how wide."""

    begin: int
    end: int
    max_length: int
    """Steps at most, the end among them. What has no end by then is taken as it is."""

    beam: int = 1
    alpha: float = 0.0
    """α; 0 compares plain probabilities, more favours longer sentences."""

    def penalty(self, length: int) -> float:
        """lp of a sentence of that many steps."""
        return float(((5 + length) / 6) ** self.alpha)


@torch.no_grad()
def greedy(model: Decodable[S], state: S, count: int, search: Search,
           device: torch.device | None = None) -> list[Found]:
    """The likeliest symbol at every step.

    Args:
        state: of `count` sentences.
    """
    open_M = torch.arange(count, device=device)
    tokens_M, total_B = torch.full_like(open_M, search.begin), torch.zeros(count, device=device, dtype=torch.float64)
    ids_BL = torch.full((count, search.max_length), search.end, device=device)
    for number in range(search.max_length):
        log_probs_MV, state = model.step(tokens_M, state)
        best_M, tokens_M = log_probs_MV.max(1)
        total_B[open_M] += best_M.double()
        ids_BL[open_M, number] = tokens_M
        going = (tokens_M != search.end).nonzero().squeeze(1)
        if not len(going):
            break
        if len(going) < len(open_M):
            open_M, tokens_M, state = open_M[going], tokens_M[going], model.rows(state, going)
    return [Found(_before(row, search.end), score)
            for row, score in zip(ids_BL.tolist(), total_B.tolist(), strict=True)]


@torch.no_grad()
def beam_search(model: Decodable[S], state: S, count: int, search: Search,
                device: torch.device | None = None) -> list[Found]:
    """The best hypothesis of each sentence.

    Args:
        state: of `count` sentences.
    """
    K, beams = search.beam, _Beams(count, search, device)
    state = model.rows(state, torch.arange(count, device=device).repeat_interleave(K))
    tokens_M = torch.full((count * K,), search.begin, device=device)
    for length in range(1, search.max_length + 1):
        log_probs_MV, state = model.step(tokens_M, state)
        index_M, tokens_M = beams.advance(log_probs_MV, length)
        if not len(index_M):
            break
        state = model.rows(state, index_M)
    return beams.found()


class _Beams:
    """The hypotheses of all sentences, live and finished."""

    def __init__(self, count: int, search: Search, device: torch.device | None) -> None:
        self.search, self.device = search, device
        self.open_B = torch.arange(count, device=device)
        """Sentences that are not done; everything with the suffix O below belongs to these."""
        self.live_OK = torch.full((count, search.beam), -torch.inf, device=device, dtype=torch.float64)
        self.live_OK[:, 0] = 0.0
        self.ids_OKL = torch.empty(count, search.beam, 0, dtype=torch.int64, device=device)
        self.finished_O = torch.zeros(count, dtype=torch.int64, device=device)
        self.best_O = torch.full((count,), -torch.inf, device=device, dtype=torch.float64)
        self.best = [Found([], -float("inf"))] * count

    def advance(self, log_probs_MV: Tensor, length: int) -> tuple[Tensor, Tensor]:
        """One step on.

        Returns:
            Which rows of the state go on, and the tokens to go on with; none when all sentences are done.
        """
        K, V = self.search.beam, log_probs_MV.shape[1]
        total_OKV = self.live_OK.unsqueeze(2) + log_probs_MV.double().unflatten(0, (-1, K))
        score_OC, flat_OC = total_OKV.flatten(1).topk(min(2 * K, K * V), dim=1)
        parent_OC, token_OC = flat_OC // V, flat_OC % V
        ends_OC = token_OC == self.search.end
        self._finish(score_OC[:, :K], parent_OC[:, :K], ends_OC[:, :K], length)
        order_OK = ends_OC.to(torch.uint8).sort(dim=1, stable=True).indices[:, :K]
        self.live_OK = score_OC.masked_fill(ends_OC, -torch.inf).gather(1, order_OK)
        parent_OK, token_OK = parent_OC.gather(1, order_OK), token_OC.gather(1, order_OK)
        kept_OKL = self.ids_OKL.gather(1, parent_OK.unsqueeze(2).expand(-1, -1, self.ids_OKL.shape[2]))
        self.ids_OKL = torch.cat([kept_OKL, token_OK.unsqueeze(2)], dim=2)
        if length == self.search.max_length:
            self._finish(self.live_OK, torch.arange(K, device=self.device).expand_as(parent_OK),
                         self.live_OK > -torch.inf, length)  # fmt: skip
            return token_OK[:0, 0], token_OK[:0, 0]
        going = self._undone(length).nonzero().squeeze(1)
        rows_OK = going.unsqueeze(1) * K + parent_OK[going]
        self._keep(going)
        return rows_OK.flatten(), token_OK[going].flatten()

    def found(self) -> list[Found]:
        """The best finished hypothesis of every sentence."""
        return self.best

    def _finish(self, score_OK: Tensor, parent_OK: Tensor, ends_OK: Tensor, length: int) -> None:
        """Take in hypotheses that end here: what `parent` has written, without the end itself."""
        scaled_OK = (score_OK / self.search.penalty(length)).masked_fill(~ends_OK, -torch.inf)
        self.finished_O = self.finished_O + (scaled_OK > -torch.inf).sum(1)
        best_O, place_O = scaled_OK.max(1)
        better = (best_O > self.best_O).nonzero().squeeze(1)
        parents = parent_OK[better, place_O[better]]
        ids = self.ids_OKL[better, parents].tolist()
        sentences, scores = self.open_B[better].tolist(), best_O[better].tolist()
        for sentence, row, score in zip(sentences, ids, scores, strict=True):
            self.best[sentence] = Found(row, score)
        self.best_O = torch.maximum(self.best_O, best_O)

    def _undone(self, length: int) -> Tensor:
        """Sentences of which fewer than K have finished and a live one may still win.

        log P only falls and lp only grows with the length, so no live one can pass log P / lp(max_length), or, where
        α < 0, log P / lp(length + 1).
        """
        farthest = max(self.search.penalty(length + 1), self.search.penalty(self.search.max_length))
        return (self.finished_O < self.search.beam) & (self.live_OK.amax(1) / farthest > self.best_O)

    def _keep(self, going: Tensor) -> None:
        self.open_B, self.live_OK, self.ids_OKL = self.open_B[going], self.live_OK[going], self.ids_OKL[going]
        self.finished_O, self.best_O = self.finished_O[going], self.best_O[going]


def _before(ids: list[int], end: int) -> list[int]:
    return ids[: ids.index(end)] if end in ids else ids
