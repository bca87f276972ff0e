"""Beam search against all sequences there are; greedy search against a beam of one and against a plain loop."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from gatesweep.models.beam import Found, Search, beam_search, greedy

BEGIN, END, V = 0, 1, 4


class Trail(NamedTuple):
    """Which sentence a row belongs to, and a number that every token has changed."""

    sentence_M: Tensor
    hash_M: Tensor


class Chance:
    """A language without sense: what follows depends on the sentence and on every token before, in random ways."""

    def __init__(self, seed: int, *, sharp: float = 1.5, sentences: int = 3) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.table = torch.randn(sentences, 97, V, generator=generator).mul(sharp).log_softmax(2)
        self.start = Trail(torch.arange(sentences), torch.zeros(sentences, dtype=torch.int64))

    def step(self, tokens_M: Tensor, state: Trail) -> tuple[Tensor, Trail]:
        hash_M = (state.hash_M * 31 + tokens_M * 7 + 5) % 97
        return self.table[state.sentence_M, hash_M], Trail(state.sentence_M, hash_M)

    def rows(self, state: Trail, index_M: Tensor) -> Trail:
        return Trail(state.sentence_M[index_M], state.hash_M[index_M])

    def log_probability(self, sentence: int, tokens: list[int]) -> float:
        """Of a whole sequence, one step at a time."""
        state, total, before = Trail(torch.tensor([sentence]), torch.tensor([0])), 0.0, BEGIN
        for token in tokens:
            log_probs_MV, state = self.step(torch.tensor([before]), state)
            total, before = total + float(log_probs_MV[0, token]), token
        return total


def exhaustive(model: Chance, sentence: int, longest: int, alpha: float) -> tuple[list[int], float]:
    """The best of all sequences that end, or that are cut at `longest`."""
    others = [token for token in range(V) if token != END]
    ended = [[*body, END] for n in range(longest) for body in itertools.product(others, repeat=n)]
    cut = [list(body) for body in itertools.product(others, repeat=longest)]
    scored = [(model.log_probability(sentence, tokens) / ((5 + len(tokens)) / 6) ** alpha, tokens)
              for tokens in [*ended, *cut]]  # fmt: skip
    score, tokens = max(scored)
    return [token for token in tokens if token != END], score


@pytest.mark.parametrize("alpha", [0.0, 0.6, 1.0, 2.0, -0.5])
@pytest.mark.parametrize("seed", range(4))
def test_a_beam_as_wide_as_the_language_finds_the_best_of_all_sequences(seed: int, alpha: float) -> None:
    model, longest = Chance(seed), 4
    found = beam_search(model, model.start, 3, Search(BEGIN, END, longest, V**longest, alpha))
    for sentence, each in enumerate(found):
        ids, score = exhaustive(model, sentence, longest, alpha)
        assert each.ids == ids
        assert each.score == pytest.approx(score, abs=1e-5)


@pytest.mark.parametrize("seed", range(10))
def test_a_beam_of_one_is_greedy_search(seed: int) -> None:
    model = Chance(seed)
    search = Search(BEGIN, END, 12)
    plain, beam = greedy(model, model.start, 3, search), beam_search(model, model.start, 3, search)
    assert [each.ids for each in plain] == [each.ids for each in beam]
    assert [each.score for each in plain] == pytest.approx([each.score for each in beam], abs=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_greedy_search_takes_the_likeliest_token_until_the_end(seed: int) -> None:
    model = Chance(seed)
    for sentence, each in enumerate(greedy(model, model.start, 3, Search(BEGIN, END, 10))):
        ids: list[int] = []
        state, token = Trail(torch.tensor([sentence]), torch.tensor([0])), BEGIN
        while len(ids) < 10:
            log_probs_MV, state = model.step(torch.tensor([token]), state)
            token = int(log_probs_MV[0].argmax())
            if token == END:
                break
            ids.append(token)
        assert each.ids == ids


@pytest.mark.parametrize("seed", range(6))
def test_a_score_is_that_of_the_sequence_found(seed: int) -> None:
    model, alpha = Chance(seed, sharp=1.0), 0.8
    for sentence, each in enumerate(beam_search(model, model.start, 3, Search(BEGIN, END, 6, 3, alpha))):
        tokens = each.ids if len(each.ids) == 6 else [*each.ids, END]
        penalty = ((5 + len(tokens)) / 6) ** alpha
        assert each.score == pytest.approx(model.log_probability(sentence, tokens) / penalty, abs=1e-5)


@pytest.mark.parametrize("width", [2, 3, 5])
def test_sentences_of_a_batch_do_not_touch_one_another(width: int) -> None:
    model, search = Chance(11), Search(BEGIN, END, 9, width, 1.0)
    together = beam_search(model, model.start, 3, search)
    alone = [beam_search(model, model.rows(model.start, torch.tensor([b])), 1, search)[0] for b in range(3)]
    assert [each.ids for each in together] == [each.ids for each in alone]


def test_more_length_penalty_gives_no_shorter_sentences() -> None:
    model, lengths = Chance(2, sharp=0.5), []
    for alpha in (0.0, 1.0, 3.0):
        found = beam_search(model, model.start, 3, Search(BEGIN, END, 6, V**6, alpha))
        lengths.append(sum(len(each.ids) for each in found))
    assert lengths == sorted(lengths)
    assert lengths[0] < lengths[-1]


def test_nothing_longer_than_allowed_is_written() -> None:
    class Endless(Chance):
        def step(self, tokens_M: Tensor, state: Trail) -> tuple[Tensor, Trail]:
            log_probs_MV, after = super().step(tokens_M, state)
            return log_probs_MV.index_fill(1, torch.tensor([END]), -torch.inf), after

    model = Endless(0)
    for found in (greedy(model, model.start, 3, Search(BEGIN, END, 5)),
                  beam_search(model, model.start, 3, Search(BEGIN, END, 5, 3))):  # fmt: skip
        assert [len(each.ids) for each in found] == [5, 5, 5]
        assert all(isinstance(each, Found) and each.score > -float("inf") for each in found)
