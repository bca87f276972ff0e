"""A silent tracker is asked again ever more rarely, and its absence is said once."""

from __future__ import annotations

import pytest

from gatesweep.track import patience
from gatesweep.track.patience import Patience


def test_an_absence_is_said_once_and_its_end_once(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    waits: list[float] = []
    monkeypatch.setattr(patience.time, "monotonic", lambda: 100.0)
    one = Patience(said.append)
    for _ in range(7):
        one.failed("connection refused")
        waits.append(one.wait_s)
    assert waits == [1, 2, 4, 8, 16, 30, 30]
    assert len(said) == 1
    assert "connection refused" in said[0]
    one.succeeded()
    one.succeeded()
    assert one.wait_s == 0
    assert len(said) == 2
    one.failed("again")
    assert one.wait_s == 1
    assert len(said) == 3
