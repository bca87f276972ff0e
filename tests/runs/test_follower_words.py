"""What worker 0 and a following process tell each other comes over whole."""

from __future__ import annotations

import pytest

from gatesweep.errors import DataError, GatesweepError, Parted
from gatesweep.runs import follower_words
from gatesweep.train.config import OptimizerConfig
from gatesweep.train.team import Before, Seat


@pytest.mark.parametrize("was", [None, OptimizerConfig(name="adamw", lr=0.02, betas=(0.5, 0.9))])
def test_an_order_comes_over_whole_on_one_line(was: OptimizerConfig | None) -> None:
    seat = Seat(2, 3, "192.0.2.7", 4242, Before(was is not None, was))
    line = follower_words.order({"task": "toy", "note": "grün\n"}, {"traffic": "ab.dir"}, seat)
    assert line.count(b"\n") == 1
    assert follower_words.read_order(line) == ({"task": "toy", "note": "grün\n"}, {"traffic": "ab.dir"}, seat)


@pytest.mark.parametrize("error", [
    DataError("was altered", place="data/a.csv", hint="put it back"), Parted("worker 1 is gone"),
    GatesweepError("ours"),
])
def test_an_error_of_ours_has_its_class_again(error: GatesweepError) -> None:
    found = follower_words.read_end(follower_words.end(error))
    assert type(found) is type(error)
    assert str(found) == str(error)


def test_another_error_is_its_text_and_no_error_is_none() -> None:
    found = follower_words.read_end(follower_words.end(RuntimeError("worker 1: KeyError: 'x'\n  File …")))
    assert type(found) is RuntimeError
    assert str(found) == "worker 1: KeyError: 'x'\n  File …"
    assert follower_words.read_end(follower_words.end(None)) is None
    assert type(follower_words.read_end(b'{"kind": "os", "message": "m", "place": null, "hint": null}')) is RuntimeError
