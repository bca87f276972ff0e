"""What a user asks from afar reaches the driver once, in order, and survives its death before that."""

from __future__ import annotations

import json
import time
from pathlib import Path

from gatesweep.storage import place
from gatesweep.sweep import control


def _until(condition, timeout_s: float = 15.0) -> None:
    ends = time.monotonic() + timeout_s
    while not condition() and time.monotonic() < ends:
        time.sleep(0.05)


def test_requests_are_heard_in_order_and_then_gone(tmp_path: Path):
    at, heard = place(tmp_path), []
    for trial in ("t0001", "t0002", None):
        control.ask(at, {"stop": "epoch", "trial": trial})
        time.sleep(0.002)
    with control.Listener(at, heard.append):
        _until(lambda: len(heard) == 3)
        _until(lambda: not at.names("control"))
    assert [request["trial"] for request in heard] == ["t0001", "t0002", None]
    assert at.names("control") == []


def test_a_request_that_was_made_while_no_driver_lived_is_heard_by_the_next(tmp_path: Path):
    at = place(tmp_path)
    control.ask(at, {"stop": "drain", "trial": None})
    at.write("control/0-broken.json", b"{")
    found = control.pending(at)
    assert [request for _, request in found] == [{"stop": "drain", "trial": None}]
    assert json.loads(at.read(found[0][0])) == {"stop": "drain", "trial": None}
