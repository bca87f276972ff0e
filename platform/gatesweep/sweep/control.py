"""What a user asks of a sweep that runs elsewhere: a request is a small file in the sweep's place, the driver polls.

    control/<ms>-<hex>.json   {"stop": "drain" | "epoch" | "now", "trial": "t0007" or null}

drain: what runs is trained to its end, nothing new starts; epoch: every trial stops after its next epoch; now: at once.
The end of a trial and `now` go into the log; `drain` and `epoch` bind the driver that hears them alone. A request is
deleted once a driver has heard it: if that one dies before the log says so, the request is forgotten, and whoever
resumes the sweep asks again. What is asked while no driver lives waits for the next one.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Callable
from typing import Any

from gatesweep.errors import StorageError
from gatesweep.storage import Place

FOLDER = "control"
POLL_S = 1.0

Request = dict[str, Any]


def ask(place: Place, request: Request) -> None:
    """Leave a request for the driver of the sweep that lies at `place`."""
    name = f"{FOLDER}/{int(time.time() * 1000)}-{secrets.token_hex(3)}.json"
    place.write(name, json.dumps(request).encode())


def pending(place: Place) -> list[tuple[str, Request]]:
    """Requests in the order in which they were made, each with its file's name."""
    found = []
    for name in place.names(FOLDER):
        try:
            found.append((name, json.loads(place.read(name))))
        except (FileNotFoundError, ValueError):  # gone meanwhile; what is no JSON is nobody's request
            continue
    return found


class Listener:
    """Polls for requests beside a running sweep and hands each to `heard`, in a thread of its own."""

    def __init__(self, place: Place, heard: Callable[[Request], None]) -> None:
        self._place, self._heard = place, heard
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gatesweep-control", daemon=True)

    def __enter__(self) -> Listener:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join(5.0)

    def _run(self) -> None:
        while not self._over.wait(POLL_S):
            try:
                for name, request in pending(self._place):
                    self._heard(request)
                    self._place.delete(name)
            except StorageError:  # away for a moment: the next look finds it
                continue
