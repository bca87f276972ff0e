"""Connectionist temporal classification against the sum over all alignments, written out."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest
import torch

from gatesweep.models.ctc import BLANK, Greedy, PrefixBeam, ctc_loss, decoded, log_probability
from gatesweep.models.segmentation import best_path, joined


def drawn(T: int, V: int, seed: int) -> np.ndarray:
    return np.asarray(torch.from_numpy(np.random.default_rng(seed).normal(0, 1.5, (T, V))).log_softmax(1))


def text_of(alignment: tuple[int, ...]) -> tuple[int, ...]:
    """Equation 2: repeats are joined, then blanks removed."""
    kept = [s for t, s in enumerate(alignment) if t == 0 or s != alignment[t - 1]]
    return tuple(s for s in kept if s != BLANK)


def all_texts(log_probs_TV: np.ndarray) -> dict[tuple[int, ...], float]:
    """log P of every text, from every alignment."""
    T, V = log_probs_TV.shape
    found: dict[tuple[int, ...], float] = {}
    for alignment in product(range(V), repeat=T):
        value = sum(log_probs_TV[t, s] for t, s in enumerate(alignment))
        text = text_of(alignment)
        found[text] = float(np.logaddexp(found.get(text, -np.inf), value))
    return found


@pytest.mark.parametrize("seed", range(4))
def test_the_probability_of_a_text_is_the_sum_over_its_alignments(seed: int) -> None:
    log_probs_TV = drawn(5, 3, seed)
    for text, value in all_texts(log_probs_TV).items():
        if text:
            assert log_probability(torch.from_numpy(log_probs_TV), text) == pytest.approx(value, abs=1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_a_wide_beam_finds_the_likeliest_text(seed: int) -> None:
    log_probs_TV = drawn(6, 3, seed)
    texts = all_texts(log_probs_TV)
    search = PrefixBeam(beam=1000)
    search.advance(log_probs_TV)
    assert tuple(search.best()) == max(texts, key=lambda text: texts[text])
    for prefix, (blank, own) in search.live.items():
        assert np.logaddexp(blank, own) == pytest.approx(texts[prefix], abs=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_fusion_adds_the_weighted_language_model_its_end_and_the_bonus(seed: int) -> None:
    log_probs_TV, rng = drawn(5, 3, seed), np.random.default_rng(seed + 100)
    table = {before: np.log(rng.dirichlet(np.ones(3))) for before in range(3)}
    weight, bonus = 0.7, 0.4

    def language(prefix: tuple[int, ...]) -> np.ndarray:
        return table[prefix[-1] if prefix else 0]

    def score(text: tuple[int, ...]) -> float:
        told = sum(table[before][s] for before, s in zip((0, *text), (*text, BLANK), strict=True))
        return texts[text] + weight * told + bonus * len(text)

    texts = all_texts(log_probs_TV)
    search = PrefixBeam(1000, language, weight, bonus)
    search.advance(log_probs_TV)
    assert tuple(search.best()) == max(texts, key=score)


def test_greedy_search_is_the_likeliest_alignment() -> None:
    log_probs_TV = drawn(9, 4, 3)
    search = Greedy()
    search.advance(log_probs_TV)
    assert tuple(search.best()) == text_of(tuple(log_probs_TV.argmax(1).tolist()))


@pytest.mark.parametrize("make", [Greedy, lambda: PrefixBeam(4)])
def test_step_by_step_is_the_same_as_all_at_once(make: type[Greedy]) -> None:
    log_probs_TV = drawn(20, 5, 7)
    whole, pieces = make(), make()
    whole.advance(log_probs_TV)
    for start in range(0, 20, 3):
        pieces.advance(log_probs_TV[start : start + 3])
    assert whole.best() == pieces.best()


def test_padding_has_no_part_in_loss_or_text() -> None:
    log_probs_BTV = torch.from_numpy(np.stack([drawn(8, 4, 1), drawn(8, 4, 2)]))
    steps_B, wanted_BU, sizes_B = torch.tensor([8, 5]), torch.tensor([[1, 2, 2], [3, 0, 0]]), torch.tensor([3, 1])
    other = log_probs_BTV.clone()
    other[1, 5:] = torch.from_numpy(drawn(3, 4, 9))
    for make in (Greedy, lambda: PrefixBeam(3)):
        assert decoded(log_probs_BTV, steps_B, make) == decoded(other, steps_B, make)
    assert torch.equal(ctc_loss(log_probs_BTV, steps_B, wanted_BU, sizes_B),
                       ctc_loss(other, steps_B, wanted_BU, sizes_B))  # fmt: skip


def test_a_text_too_long_for_its_steps_gives_no_gradient() -> None:
    log_probs_BTV = torch.from_numpy(drawn(2, 3, 0))[None].requires_grad_()
    loss_B = ctc_loss(log_probs_BTV, torch.tensor([2]), torch.tensor([[1, 1]]), torch.tensor([2]))
    loss_B.sum().backward()
    assert float(loss_B.detach()) == 0.0
    assert log_probs_BTV.grad is not None
    assert float(log_probs_BTV.grad.abs().sum()) == 0.0


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("change", [0.0, 0.8, 3.0])
def test_the_best_path_is_the_best_of_all_paths(seed: int, change: float) -> None:
    log_probs_TK = drawn(6, 3, seed)

    def score(path: tuple[int, ...]) -> float:
        told = sum(log_probs_TK[t, a] for t, a in enumerate(path))
        return float(told - change * sum(a != b for a, b in pairwise(path)))

    found = tuple(best_path(log_probs_TK, change).tolist())
    assert score(found) == pytest.approx(max(score(path) for path in product(range(3), repeat=6)), abs=1e-9)


def test_a_path_is_read_without_its_silence() -> None:
    assert joined(np.array([0, 0, 2, 2, 0, 2, 3, 3, 0])) == [2, 2, 3]
