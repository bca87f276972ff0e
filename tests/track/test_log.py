"""The sweep's log: on disk before it counts, cut where it was torn, refused where it is damaged."""

from pathlib import Path

import pytest

from gatesweep.errors import LogError
from gatesweep.track import log as log_module
from gatesweep.track.log import SweepLog, decode, encode, read
from gatesweep.track.records import VERSION

FIRST = {"event": "sweep", "version": VERSION, "sweep_id": "s"}


def _filled(path: Path, count: int = 5) -> list[dict]:
    log = SweepLog(path, create=True)
    log.append(FIRST)
    for number in range(count):
        log.append({"event": "new", "trial": f"t{number:04d}", "number": number, "params": {"lr": 0.1 / 3}})
    log.close()
    return log.records


def test_what_was_appended_is_read_back_exactly(tmp_path: Path):
    written = _filled(tmp_path / "log")
    assert read(tmp_path / "log")[0] == written


def test_every_torn_tail_is_cut_and_nothing_else(tmp_path: Path):
    written = _filled(tmp_path / "log", 2)
    whole = (tmp_path / "log").read_bytes()
    ends = [n + 1 for n, byte in enumerate(whole) if byte == 10]
    for cut in range(len(whole) + 1):
        path = tmp_path / "cut"
        path.write_bytes(whole[:cut])
        log = SweepLog(path)
        log.close()
        sound = [end for end in ends if end <= cut]
        assert log.records == written[: len(sound)]
        assert path.stat().st_size == (sound[-1] if sound else 0)


@pytest.mark.parametrize("line", [0, 1, 3])
def test_damage_before_the_last_line_names_the_line(tmp_path: Path, line: int):
    _filled(tmp_path / "log")
    lines = (tmp_path / "log").read_bytes().splitlines(keepends=True)
    lines[line] = lines[line].replace(b'"', b"'", 1)
    (tmp_path / "log").write_bytes(b"".join(lines))
    with pytest.raises(LogError, match=f"line {line + 1} is damaged"):
        SweepLog(tmp_path / "log")


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


def test_a_second_driver_is_refused_and_the_lock_goes_with_its_holder(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(log_module, "LOCK_TIMEOUT_S", 0.1)
    _filled(tmp_path / "log")
    holder = SweepLog(tmp_path / "log")
    with pytest.raises(LogError, match="another process"):
        SweepLog(tmp_path / "log")
    holder.close()
    SweepLog(tmp_path / "log").close()


def test_an_existing_log_is_never_created_over(tmp_path: Path):
    written = _filled(tmp_path / "log")
    with pytest.raises(FileExistsError):
        SweepLog(tmp_path / "log", create=True)
    assert read(tmp_path / "log")[0] == written


def test_a_log_of_another_version_or_none_at_all_is_refused(tmp_path: Path):
    with pytest.raises(LogError, match="no log"):
        SweepLog(tmp_path / "none")
    (tmp_path / "old").write_bytes(encode({**FIRST, "version": VERSION + 1}))
    with pytest.raises(LogError, match="line 1"):
        read(tmp_path / "old")
