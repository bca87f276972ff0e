"""Text laid out in time: every token once, in order, as a loop over Python lists would do it."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gatesweep.errors import DataError
from gatesweep.tasks.language_modeling.streams import (
    IGNORED,
    InTurn,
    Windows,
    even_borders,
    loader,
    streams,
    varied_borders,
)

EOS = 0


def written_out(ids: list[int], count: int, *, whole: bool) -> list[list[tuple[int, int]]]:
    """(input, target) of every step of every stream, with lists alone."""
    length = len(ids) // count
    if whole and len(ids) % count:
        length += 1
    before = EOS
    pairs = []
    for token in ids:
        pairs.append((before, token))
        before = token
    rows = [pairs[number * length : (number + 1) * length] for number in range(count)]
    return [row + [(EOS, IGNORED)] * (length - len(row)) for row in rows]


@settings(deadline=None, max_examples=60)
@given(tokens=st.integers(4, 90), count=st.integers(1, 9), whole=st.booleans())
def test_streams_equal_a_written_out_loop(tokens: int, count: int, whole: bool):
    ids = np.random.default_rng(tokens).integers(1, 50, tokens)
    if tokens < 2 * count:
        with pytest.raises(DataError, match="too few"):
            streams(ids, count, EOS, whole=whole)
        return
    inputs, targets = streams(ids, count, EOS, whole=whole)
    rows = written_out(ids.tolist(), count, whole=whole)
    assert [list(zip(*pair, strict=True)) for pair in zip(inputs.tolist(), targets.tolist(), strict=True)] == rows


@pytest.mark.parametrize(("tokens", "count"), [(100, 7), (101, 10), (7, 3)])
def test_evaluation_has_every_token_as_a_target_once(tokens: int, count: int):
    ids = np.arange(1, tokens + 1)
    windows = [window.targets_ST for window in loader(Windows(ids, count, EOS, whole=True), 6)]
    found = torch.cat(windows, dim=1).flatten()
    assert found[found != IGNORED].tolist() == ids.tolist()


def test_windows_follow_each_other_and_only_the_first_begins_anew():
    windows = list(loader(Windows(np.arange(1, 101), 4, EOS, whole=False), 6))
    assert [window.start for window in windows] == [0, 6, 12, 18, 24]
    assert [window.ids_ST.shape[1] for window in windows] == [6, 6, 6, 6, 1]
    for earlier, later in pairwise(windows):
        assert torch.equal(later.ids_ST[:, 0], earlier.targets_ST[:, -1])


@settings(deadline=None, max_examples=60)
@given(length=st.integers(2, 5000), bptt=st.integers(2, 90), epoch=st.integers(0, 50))
def test_windows_of_varied_length_cover_the_stream_and_number_the_same_in_every_epoch(length: int, bptt: int,
                                                                                      epoch: int):  # fmt: skip
    borders = varied_borders(length, bptt, 1, epoch)
    assert (borders[0], borders[-1]) == (0, length)
    assert all(start < stop for start, stop in pairwise(borders))
    assert len(borders) == len(varied_borders(length, bptt, 1, epoch + 1))
    assert borders == varied_borders(length, bptt, 1, epoch)


def test_varied_lengths_are_spread_as_published():
    """Merity et al.: normal(bptt, 5), around half of it one time in twenty."""
    lengths = np.concatenate([np.diff(varied_borders(50_000, 70, seed, 0)) for seed in range(20)])
    short = lengths < 52
    assert 0.04 < short.mean() < 0.06
    assert abs(lengths[~short].mean() - 69.5) < 0.5
    assert abs(lengths[~short].std() - 5) < 0.2
    assert abs(lengths[short].mean() - 34.5) < 1


def test_the_order_is_a_function_of_seed_and_epoch():
    one, other = (InTurn(1000, 20, varied=True, seed=seed) for seed in (1, 2))
    first = list(one)
    assert list(other) != first
    one.set_epoch(1)
    assert list(one) != first
    one.set_epoch(0)
    assert list(one) == first
    assert len(first) == len(one)


def test_even_windows_end_with_what_is_left():
    assert even_borders(10, 4) == [0, 4, 8, 10]
    assert even_borders(8, 4) == [0, 4, 8]
