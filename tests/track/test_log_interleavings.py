"""Two writers that take the log from each other, and a reader, in any order of their steps, dying anywhere.

The model is a list: a record is in it once its append has returned, in that order. Whatever the interleaving: the log
holds this list, in this order, and beside it only records whose append did not return, each at most once. What comes
before a record in the log is what its writer knew when it acted on it, no more and no less.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from memory_place import MemoryPlace
from turns import Died, InTurns, Turns

from gatesweep.errors import Fenced
from gatesweep.storage import place
from gatesweep.track import lease, segment
from gatesweep.track.log import SweepLog, read
from gatesweep.track.records import VERSION


@pytest.fixture(autouse=True)
def no_courtesy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without leases every opening takes the log at once: what keeps it right must be the fence alone."""
    monkeypatch.setattr(lease, "wait_until_free", lambda where: lease.current(where).fence)
    monkeypatch.setattr(lease.Heartbeat, "start", lambda self: None)
    monkeypatch.setattr(lease.Heartbeat, "stop", lambda self: None)
    monkeypatch.setattr(segment, "SEGMENT_BYTES", 300)


class Story:
    """The model, and what the writers and the reader do."""

    def __init__(self, where: InTurns) -> None:
        self.where = where
        self.acted: list[int] = []
        self.knew: dict[int, list[int]] = {}
        self.tried: list[int] = []
        self.taken_over = 0

    def write(self, openings: int) -> None:
        for _ in range(openings):
            before = list(self.acted)
            log = SweepLog(self.where)
            found = numbers(log.records)
            assert [n for n in found if n in before] == before
            try:
                for _ in range(3):
                    number = len(self.tried)
                    self.tried.append(number)
                    log.append({"event": "new", "trial": f"t{number:04d}", "number": number})
                    self.acted.append(number)
                    self.knew[number] = numbers(log.records)
            except Fenced:
                self.taken_over += 1
            log.close()

    def look(self, times: int) -> None:
        for _ in range(times):
            before = list(self.acted)
            found = numbers(read(self.where))
            assert [n for n in found if n in before] == before
            assert len(set(found)) == len(found)


def numbers(records: list[dict]) -> list[int]:
    return [record["number"] for record in records if record["event"] == "new"]


def played(where: object, data: st.DataObject, turns: Turns) -> Story:
    """One drawn story to its end, checked against the model."""
    first = SweepLog(where, create=True)
    first.append({"event": "sweep", "version": VERSION})
    first.close()
    story = Story(InTurns(where, turns))
    turns.add("a", lambda: story.write(3))
    turns.add("b", lambda: story.write(3))
    turns.add("reader", lambda: story.look(4))
    turns.run()
    assert turns.errors == []
    found = numbers(read(where))
    assert [n for n in found if n in story.acted] == story.acted
    for number, knew in story.knew.items():
        assert found[: found.index(number) + 1] == knew
    assert len(set(found)) == len(found)
    assert set(found) <= set(story.tried)
    again = SweepLog(where)
    assert numbers(again.records) == found
    again.append({"event": "new", "trial": "last", "number": 10_000})
    again.close()
    assert numbers(read(where)) == [*found, 10_000]
    return story


def drawing(data: st.DataObject):
    """Who is next: mostly the same one again, sometimes another, rarely a death."""

    def draw(names) -> str:
        name = data.draw(st.sampled_from(names))
        dies = name != "reader" and data.draw(st.integers(0, 39)) == 39
        return f"!{name}" if dies else name

    return draw


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_any_interleaving_on_an_object_store_keeps_what_was_acted_on(data: st.DataObject):
    played(MemoryPlace(), data, Turns(drawing(data)))


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_any_interleaving_on_a_folder_keeps_what_was_acted_on_and_leaves_out_half_lines(
        data: st.DataObject, monkeypatch: pytest.MonkeyPatch):
    turns = Turns(drawing(data))

    def append(self: segment._File, line: bytes) -> None:
        try:
            turns.wait()
        except Died:
            os.write(self._file, line[: len(line) // 2])
            raise
        os.write(self._file, line)
        turns.wait()  # between the line and the look for a higher number
        self._size += len(line)

    monkeypatch.setattr(segment._File, "append", append)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    with tempfile.TemporaryDirectory() as folder:
        played(place(Path(folder)), data, turns)


def test_the_drawn_stories_hold_takeovers_and_deaths_and_late_lines():
    """The properties above say something: over such stories writers are fenced, and lines are written too late."""
    import random

    fenced, late, died = 0, 0, 0
    for seed in range(60):
        rng = random.Random(seed)

        def draw(names, rng: random.Random = rng) -> str:
            name = rng.choice(names)
            return f"!{name}" if name != "reader" and rng.random() < 0.02 else name

        where, turns = MemoryPlace(), Turns(draw)
        story = played(where, None, turns)
        fenced += story.taken_over
        died += len(turns._doomed)
        written = b"".join(where.read(name) for name in where.names() if name.startswith("log"))
        late += sum(f'"t{n:04d}"'.encode() in written for n in set(story.tried) - set(numbers(read(where))))
    assert fenced > 20
    assert late > 5
    assert died > 10
