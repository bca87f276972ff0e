"""The verdict on two sets of values, and the order of likely causes."""

from __future__ import annotations

import math
from typing import Any

import pytest

from gatesweep.reproduce.causes import ranked
from gatesweep.reproduce.differences import Difference
from gatesweep.reproduce.verdict import comparable, judge

WAS = {("train/loss", 1): 0.5, ("val/mae", 1): 2.0, ("train/loss", 2): 0.25, ("val/mae", 2): 1.0, ("test/mae", 0): 3.0}


def test_equal_values_and_weights_are_bitwise() -> None:
    found = judge(WAS, {**WAS, ("test/rmse", 0): 9.0, ("baseline/test/mae", 0): 9.0}, weights=("a", "a"))
    assert (found.verdict, found.compared, found.different, found.first) == ("bitwise", 6, 0, None)
    assert judge({("val/mape", 1): math.nan}, {("val/mape", 1): math.nan}).verdict == "bitwise"


@pytest.mark.parametrize("gone", [[("val/mae", 2)], [("val/mae", 1), ("val/mae", 2)], [("train/loss", 1)]])
def test_a_value_that_the_run_has_lost_is_a_difference(gone: list[tuple[str, int]]) -> None:
    left = {key: value for key, value in WAS.items() if key not in gone}
    found = judge(left, WAS)
    assert (found.verdict, found.compared, found.different) == ("diverged", 5, len(gone))
    assert found.first is not None
    assert (found.first.metric, found.first.step, found.first.was) == (*gone[0], None)
    assert found.first.is_now == WAS[gone[0]]


def test_another_code_may_record_more_but_no_gaps() -> None:
    assert judge(WAS, {**WAS, ("val/rmse", 1): 9.0}).verdict == "diverged"
    assert judge(WAS, {**WAS, ("val/rmse", 1): 9.0}, more=True).verdict == "bitwise"
    left = {key: value for key, value in WAS.items() if key != ("val/mae", 1)}
    assert judge(left, WAS, more=True).verdict == "diverged"


@pytest.mark.parametrize(("key", "value", "verdict", "first"), [
    (("val/mae", 2), math.nextafter(1.0, 2.0), "within_tolerance", ("val/mae", 2)),
    (("train/loss", 1), 0.5 * (1 + 2e-5), "diverged", ("train/loss", 1)),
    (("test/mae", 0), math.nan, "diverged", ("test/mae", 0)),
    (("val/mae", 1), None, "diverged", ("val/mae", 1)),
])
def test_the_first_other_value_is_named(key: tuple[str, int], value: Any, verdict: str, first: tuple[str, int]) -> None:
    now = {**WAS, key: value}
    if value is None:
        del now[key]
    found = judge(WAS, now)
    assert (found.verdict, found.different) == (verdict, 1)
    assert found.first is not None
    assert (found.first.metric, found.first.step, found.first.was) == (*first, WAS[key])


def test_of_one_step_training_comes_first_and_the_test_split_after_all_steps() -> None:
    now = {key: value + 1 for key, value in WAS.items() if key != ("train/loss", 1)} | {("train/loss", 1): 0.5}
    found = judge(WAS, now)
    assert found.first is not None
    assert (found.first.metric, found.first.step, found.different) == ("val/mae", 1, 4)
    late = judge(WAS, {**WAS, ("test/mae", 0): 4.0, ("val/mae", 2): 4.0, ("train/loss", 2): 4.0})
    assert late.first is not None
    assert (late.first.metric, late.first.step) == ("train/loss", 2)


def test_other_weights_under_equal_values_are_told_and_not_bitwise() -> None:
    found = judge(WAS, WAS, weights=("a", "b"))
    assert (found.verdict, found.different, found.compared) == ("within_tolerance", 1, 6)
    assert found.first is not None
    assert (found.first.metric, found.first.step) == ("weights", 2)


def test_a_run_that_lost_the_hash_of_its_weights_is_not_proven() -> None:
    found = judge(WAS, WAS, weights=(None, "b"))
    assert (found.verdict, found.different, found.compared) == ("diverged", 1, 6)
    assert found.first is not None
    assert (found.first.metric, found.first.was, found.first.is_now) == ("weights", None, "b")
    assert judge(WAS, WAS, weights=("a", None)).verdict == "bitwise", "a rerun that has none yet"


def test_times_are_left_out_and_single_scores_have_no_step() -> None:
    recorded = {("time/epoch_s", 1): 3.0, ("val/mae", 1): 2.0, ("val/mae", 2): 1.0, ("test/mae", 2): 3.0,
                ("baseline/test/mae", 2): 5.0}  # fmt: skip
    assert comparable(recorded) == {("val/mae", 1): 2.0, ("val/mae", 2): 1.0, ("test/mae", 0): 3.0,
                                    ("baseline/test/mae", 0): 5.0}  # fmt: skip
    assert comparable(recorded, epochs=1) == {("val/mae", 1): 2.0}


def test_likely_causes_come_first() -> None:
    keys = ["packages.zipp", "machine.cpu", "packages.torch", "torch.threads", "data.traffic", "code.commit"]
    found = [Difference(key.partition(".")[0], key, 1, 2) for key in keys] + [Difference("config", "lr", 1, 2)]
    assert [each.key for each in ranked(found)] == ["lr", *reversed(keys)]


def test_of_a_trial_that_copied_another_what_came_after_is_compared() -> None:
    values = {("train/loss", 1): 1.0, ("train/loss", 3): 2.0, ("test/mae", 3): 4.0, ("mutation/lr", 3): 0.1}
    assert comparable(values, after=2) == {("train/loss", 3): 2.0}
