"""The sweep's log: on storage before it counts, left out where it was torn, refused where it is damaged."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from memory_place import MemoryPlace

from gatesweep.errors import LogError, StorageAway, StorageError
from gatesweep.storage import Place, place
from gatesweep.track import segment as segment_module
from gatesweep.track.lease import Lease, current
from gatesweep.track.log import SweepLog, decode, encode, read
from gatesweep.track.records import VERSION
from gatesweep.track.segments import name_of

FIRST = {"event": "sweep", "version": VERSION, "sweep_id": "s"}
KINDS = ["folder", "memory", pytest.param("s3", marks=pytest.mark.services)]


@pytest.fixture(params=KINDS)
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "memory":
        return MemoryPlace()
    return place(request.getfixturevalue("s3") if request.param == "s3" else tmp_path / "sweep")


def new(number: int) -> dict:
    return {"event": "new", "trial": f"t{number:04d}", "number": number, "params": {"lr": 0.1 / 3}}


def filled(where: Place, count: int = 5) -> list[dict]:
    log = SweepLog(where, create=True)
    log.append(FIRST)
    for number in range(count):
        log.append(new(number))
    log.close()
    return log.records


def in_three_openings(where: Place) -> list[dict]:
    """A log of three segments: four, three and three records, the last two begun by a lease."""
    filled(where, 3)
    for number in (3, 5):
        log = SweepLog(where)
        log.append(new(number))
        log.append(new(number + 1))
        log.close()
    return log.records


def test_what_was_appended_is_read_back_exactly(where: Place):
    written = filled(where)
    assert read(where) == written
    assert [record["event"] for record in written] == ["sweep", *["new"] * 5]


def test_every_opening_writes_a_segment_of_its_own_and_reads_all_before(where: Place):
    written = in_three_openings(where)
    assert [name for name in where.names() if name.startswith("log")] == ["log.0002.jsonl", "log.0003.jsonl",
                                                                          "log.jsonl"]
    assert read(where) == written
    assert [record.get("number", record["event"]) for record in written] == [
        "sweep", 0, 1, 2, "lease", 3, 4, "lease", 5, 6]
    log = SweepLog(where)
    assert log.fence == 4
    assert log.records[:-1] == written
    log.close()


def test_a_log_of_before_segments_is_read_and_gone_on_with_at_once(where: Place):
    lines = [FIRST, new(0), new(1)]
    where.write("log.jsonl", b"".join(map(encode, lines)))
    assert read(where) == lines
    log = SweepLog(where)
    assert log.records[:3] == lines
    log.append(new(2))
    log.close()
    assert [record.get("number") for record in read(where)] == [None, 0, 1, None, 2]
    assert where.read("log.jsonl") == b"".join(map(encode, lines))


def test_every_torn_tail_is_left_out_and_nothing_else(tmp_path: Path):
    written = filled(place(tmp_path / "whole"), 2)
    whole = (tmp_path / "whole" / "log.jsonl").read_bytes()
    ends = [n + 1 for n, byte in enumerate(whole) if byte == 10]
    for cut in range(len(whole) + 1):
        where = MemoryPlace() if cut % 8 else place(tmp_path / f"cut-{cut}")
        where.write("log.jsonl", whole[:cut])
        sound = [end for end in ends if end <= cut]
        assert read(where) == written[: len(sound)]
        log = SweepLog(where)
        again = log.append(new(9) if sound else FIRST)
        log.close()
        assert [r for r in read(where) if r["event"] != "lease"] == [*written[: len(sound)], again]


def test_every_prefix_of_a_log_in_segments_is_a_log(tmp_path: Path):
    written = in_three_openings(place(tmp_path / "whole"))
    segments = [(tmp_path / "whole" / name_of(fence)).read_bytes() for fence in (1, 2, 3)]
    begins = {1: 0, 2: 4, 3: 7}
    for fence in (1, 2, 3):
        data = segments[fence - 1]
        for cut in range(len(data) + 1):
            where = MemoryPlace()
            for earlier in range(1, fence):
                where.write(name_of(earlier), segments[earlier - 1])
            where.write(name_of(fence), data[:cut])
            where.write("lease.json", Lease(fence, None).encode())
            expected = written[: begins[fence] + data[:cut].count(b"\n")]
            assert read(where) == expected
            log = SweepLog(where)
            assert log.fence == fence + 1
            assert [r for r in log.records if r != log.records[-1]] == expected
            log.close()


def test_what_stands_after_the_followed_part_of_a_segment_is_not_looked_at(where: Place):
    written = in_three_openings(where)
    where.write("log.0002.jsonl", where.read("log.0002.jsonl") + encode(new(99)) + b"half a li")
    assert read(where) == written


@pytest.mark.parametrize(("fence", "line"), [(1, 1), (1, 2), (1, 4), (2, 1), (2, 2), (2, 3), (3, 1), (3, 2)])
def test_damage_before_the_last_line_names_the_file_and_the_line(tmp_path: Path, fence: int, line: int):
    where = place(tmp_path)
    in_three_openings(where)
    lines = where.read(name_of(fence)).splitlines(keepends=True)
    lines[line - 1] = lines[line - 1].replace(b'"', b"'", 1)
    where.write(name_of(fence), b"".join(lines))
    before = where.names()
    for look in (read, SweepLog):
        with pytest.raises(LogError, match=f"line {line} is damaged") as refused:
            look(where)
        assert refused.value.place == str(tmp_path / name_of(fence))
    assert where.names() == before


@pytest.mark.parametrize("name", ["log.0002.jsonl", "log.0003.jsonl", "log.jsonl"])
def test_a_segment_that_is_missing_is_named_before_anything_is_written(tmp_path: Path, name: str):
    where = place(tmp_path)
    in_three_openings(where)
    where.delete(name)
    with pytest.raises(LogError) as refused:
        SweepLog(where)
    assert refused.value.place == str(tmp_path / name)
    assert not where.exists(name)


def test_a_segment_that_lost_its_end_is_named(tmp_path: Path):
    where = place(tmp_path)
    in_three_openings(where)
    where.write("log.0002.jsonl", b"".join(where.read("log.0002.jsonl").splitlines(keepends=True)[:-1]))
    with pytest.raises(LogError, match="bytes are missing") as refused:
        read(where)
    assert refused.value.place == str(tmp_path / "log.0002.jsonl")


def test_every_flipped_bit_is_noticed():
    line = encode({"event": "new", "value": 1.5})
    assert decode(line) == {"event": "new", "value": 1.5}
    for position in range(len(line)):
        for bit in range(8):
            flipped = bytearray(line)
            flipped[position] ^= 1 << bit
            if bytes(flipped[:8]).lower() == line[:8] and flipped[8:] == line[8:]:
                continue  # the checksum's own hex in capitals is the same number
            assert decode(bytes(flipped)) is None


def test_an_existing_log_is_never_created_over(where: Place):
    written = filled(where)
    with pytest.raises(FileExistsError):
        SweepLog(where, create=True)
    assert read(where) == written


def test_a_log_of_another_version_or_none_at_all_is_refused(where: Place):
    with pytest.raises(LogError, match="no log"):
        SweepLog(where)
    assert where.names() == []
    where.write("log.jsonl", encode({**FIRST, "version": VERSION + 1}))
    with pytest.raises(LogError, match="line 1"):
        read(where)


def test_a_long_log_on_an_object_store_goes_on_in_new_segments(where: Place, monkeypatch):
    monkeypatch.setattr(segment_module, "SEGMENT_BYTES", 400)
    written = filled(where, 20)
    segments = [name for name in where.names() if name.startswith("log")]
    if where.local is not None:
        assert segments == ["log.jsonl"]
    else:
        assert len(segments) > 3
        assert all(len(where.read(name)) < 800 for name in segments)
        assert current(where).fence == len(segments)
    assert read(where) == written
    assert [r["number"] for r in written if r["event"] == "new"] == list(range(20))
    log = SweepLog(where)
    log.append(new(20))
    log.close()
    assert read(where) == log.records
    assert log.records[: len(written)] == written


def test_after_half_a_line_nothing_more_is_written(tmp_path: Path, monkeypatch):
    where = place(tmp_path)
    log = SweepLog(where, create=True)
    log.append(FIRST)
    with monkeypatch.context() as full:
        real = os.write
        full.setattr(os, "write", lambda file, data: real(file, data[:20]))
        with pytest.raises(StorageError, match="only part of a line"):
            log.append(new(0))
    with pytest.raises(StorageError, match="only part of a line"):
        log.append(new(1))
    log.close()
    assert [r["event"] for r in read(where)] == ["sweep"]
    again = SweepLog(where)
    again.append(new(0))
    again.close()
    assert [r["event"] for r in read(where)] == ["sweep", "lease", "new"]


class Moving(MemoryPlace):
    """While a reader is between two segments, the newest begins, and follows a line that has just been written."""

    moved = False

    def read(self, name: str) -> bytes:
        found = super().read(name)
        if not self.moved:
            self.moved = True
            self.write("log.jsonl", super().read("log.jsonl") + encode(new(1)))
            follows = {"event": "lease", "fence": 2, "after": 1, "follows": len(super().read("log.jsonl"))}
            self.write("log.0002.jsonl", encode(follows) + encode(new(2)))
        return found


def test_a_log_that_grows_while_it_is_read_is_not_taken_for_a_damaged_one():
    where = Moving()
    where.write("log.jsonl", encode(FIRST) + encode(new(0)))
    where.write("log.0002.jsonl", encode({"event": "lease", "fence": 2, "claim": "x"}))
    assert [r.get("number") for r in read(where)] in ([None, 0], [None, 0, 1])
    assert [r.get("number") for r in read(where)] == [None, 0, 1, None, 2]


class Lossy(MemoryPlace):
    """Some writes are made, and their answers lost."""

    lose = 0

    def swap(self, name: str, data: bytes, version: str | None, mark: str) -> str | None:
        made = super().swap(name, data, version, mark)
        if self.lose:
            self.lose -= 1
            raise StorageAway("the answer was lost")
        return made


def test_an_append_whose_answer_was_lost_is_in_the_log_once(monkeypatch):
    monkeypatch.setattr(segment_module.time, "sleep", lambda s: None)
    where = Lossy()
    log = SweepLog(where, create=True)
    log.append(FIRST)
    for number in range(5):
        where.lose = number % 3
        log.append(new(number))
    log.close()
    assert read(where) == log.records
    assert [r.get("number") for r in log.records] == [None, 0, 1, 2, 3, 4]


class Interrupted(MemoryPlace):
    """Ctrl-C in the middle of a write, which arrives or does not."""

    arrives: bool | None = None

    def swap(self, name: str, data: bytes, version: str | None, mark: str) -> str | None:
        arrives, self.arrives = self.arrives, None
        if arrives is False:
            raise KeyboardInterrupt
        made = super().swap(name, data, version, mark)
        if arrives:
            raise KeyboardInterrupt
        return made


@pytest.mark.parametrize("arrives", [True, False])
def test_after_an_interrupted_append_the_stop_can_still_be_written(arrives: bool):
    where = Interrupted()
    log = SweepLog(where, create=True)
    log.append(FIRST)
    where.arrives = arrives
    with pytest.raises(KeyboardInterrupt):
        log.append(new(0))
    log.append({"event": "stop", "reason": "interrupted"})
    log.close()
    assert [r["event"] for r in read(where)] == ["sweep", "new", "stop"]


def test_a_store_that_stays_away_ends_the_append_and_the_log(monkeypatch):
    monkeypatch.setattr(segment_module, "OUTAGE_S", 0.0)
    where = Lossy()
    log = SweepLog(where, create=True)
    log.append(FIRST)
    where.lose = 99
    with pytest.raises(StorageAway):
        log.append(new(0))
    where.lose = 0
    with pytest.raises(StorageAway):
        log.append(new(1))
    log.close()
    assert [r.get("number") for r in read(where)] in ([None], [None, 0])
