"""Words, vocabularies, and batches of similar length."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatesweep.errors import DataError
from gatesweep.tasks.text.batches import Buckets, pad
from gatesweep.tasks.text.tokens import word_tokens
from gatesweep.tasks.text.vocabulary import UNKNOWN, Vocabulary


@pytest.mark.parametrize(("text", "tokens"), [
    ("I didn't like it: 7/10!", "i did n't like it : 7 / 10 !"),
    ("a<br /><br />b <i>c</i> 1 < 2 > 0", "a b c 1 < 2 > 0"),
    ("It's John’s well-known café, isn’t it?", "it 's john ’s well-known café , is n’t it ?"),
    ("10,000.5 (x_y)", "10,000.5 ( x y )"),
    ("", ""),
])  # fmt: skip
def test_text_becomes_words_numbers_and_signs(text: str, tokens: str) -> None:
    assert word_tokens(text) == tokens.split()


def test_a_vocabulary_is_ordered_by_frequency_then_alphabet_with_its_specials_first() -> None:
    made = Vocabulary.build(Counter(["b", "b", "a", "a", "c", "d", "d", "d"]), specials=("<pad>", UNKNOWN), min_count=2)
    assert made.words == ("<pad>", UNKNOWN, "d", "a", "b")
    assert made.encode(["a", "zebra", "d"]).tolist() == [3, 1, 2]
    assert made.decode([2, 4]) == ["d", "b"]
    assert len(Vocabulary.build(Counter("abcdef"), max_size=4)) == 4


def test_text_that_has_its_own_word_for_unknown_ones_keeps_it() -> None:
    made = Vocabulary.build(Counter(["the", "<unk>", "sat", "<unk>"]), specials=())
    assert made.encode(["never"]).tolist() == [made.number(UNKNOWN)]


def test_without_a_word_for_unknown_ones_they_are_refused() -> None:
    with pytest.raises(DataError, match="'x' is not in the vocabulary of 1"):
        Vocabulary.build(Counter("a"), specials=()).encode("ax")


def test_a_row_is_padded_behind_its_end() -> None:
    ids, lengths = pad([np.array([5, 6]), np.array([7])], padding=9)
    assert (ids.tolist(), lengths.tolist()) == ([[5, 6], [7, 9]], [2, 1])


@given(lengths=st.lists(st.integers(1, 60), min_size=1, max_size=120), size=st.integers(1, 9),
       steps=st.none() | st.integers(1, 200), epoch=st.integers(0, 3), shuffle=st.booleans())  # fmt: skip
def test_every_sequence_comes_once_an_epoch_within_the_bounds(
    lengths: list[int], size: int, steps: int | None, epoch: int, shuffle: bool
) -> None:
    buckets = Buckets(lengths, size, seed=3, shuffle=shuffle, max_steps=steps, pool=4)
    buckets.set_epoch(epoch)
    batches = list(buckets)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    assert len(batches) == len(buckets)
    for batch in batches:
        assert len(batch) <= size
        assert steps is None or len(batch) == 1 or len(batch) * max(lengths[index] for index in batch) <= steps


def test_the_order_is_a_function_of_seed_and_epoch_alone() -> None:
    lengths = list(range(1, 200))

    def order(seed: int, epoch: int) -> list[list[int]]:
        buckets = Buckets(lengths, 8, seed=seed)
        buckets.set_epoch(epoch)
        return list(buckets)

    assert order(1, 2) == order(1, 2)
    assert order(1, 2) != order(1, 3)
    assert order(1, 2) != order(2, 2)


def test_shuffled_batches_hold_little_padding() -> None:
    lengths = np.random.default_rng(0).integers(1, 400, 2000)
    batches = list(Buckets(lengths, 16))
    padded = sum(len(batch) * lengths[batch].max() for batch in batches)
    assert padded < 1.1 * lengths.sum()


def test_an_iterator_that_was_made_before_the_epoch_was_set_has_the_epoch_s_batches():
    """As Lightning does when it resumes: the first iterator comes first, then the epoch."""
    early, late = (Buckets(range(1, 40), 4, seed=1) for _ in range(2))
    made = iter(early)
    early.set_epoch(3)
    late.set_epoch(3)
    assert list(made) == list(late)
