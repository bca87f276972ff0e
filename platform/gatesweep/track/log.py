"""A sweep's log: append-only, one line per event, on disk before anybody acts on it.

    <8 hex of CRC-32> <JSON>\\n

A line counts once `fdatasync` has returned. What a dying process left of its last line is cut off when the log is
opened again; damage anywhere else is an error that names the line, never repaired. One driver at a time: the open log
is locked (flock), and the lock dies with its process.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
import zlib
from pathlib import Path

from gatesweep.errors import LogError
from gatesweep.track.records import EVENTS, VERSION, Record

LOCK_TIMEOUT_S = 10.0
"""A killed driver's lock is gone when the system has buried it, which takes a moment."""


def encode(record: Record) -> bytes:
    """One line of the log."""
    body = json.dumps(record, separators=(",", ":")).encode()  # keys keep their order: proposals follow the space's
    return b"%08x " % zlib.crc32(body) + body + b"\n"


def decode(line: bytes) -> Record | None:
    """The record in a line, or None where the line is not whole."""
    if not line.endswith(b"\n") or len(line) < 11 or line[8:9] != b" ":
        return None
    try:
        if int(line[:8], 16) != zlib.crc32(line[9:-1]):
            return None
        record = json.loads(line[9:-1])
    except ValueError:
        return None
    return record if isinstance(record, dict) and record.get("event") in EVENTS else None


def read(path: Path) -> tuple[list[Record], int]:
    """The records of a log and the length in bytes of its sound part; a torn last line is left out.

    Raises:
        LogError: no log there, or a damaged line that is not the last.
    """
    hint = "restore the file from a backup; runs that it recorded are still in the tracking store"
    if not path.is_file():
        raise LogError("no log of a sweep", place=str(path), hint="gatesweep list shows the sweeps of this home folder")
    records: list[Record] = []
    sound = 0
    lines = path.read_bytes().splitlines(keepends=True)
    for number, line in enumerate(lines, 1):
        record = decode(line)
        if record is None:
            if number < len(lines):
                raise LogError(f"line {number} is damaged", place=str(path), hint=hint)
            break
        records.append(record)
        sound += len(line)
    if records and (records[0]["event"] != "sweep" or records[0].get("version") != VERSION):
        raise LogError("line 1 does not open a sweep that this version can read", place=str(path), hint=hint)
    return records, sound


class ReadOnlyLog:
    """A log's records for who only looks."""

    def __init__(self, path: Path, records: list[Record]) -> None:
        self.path, self.records = path, records

    def append(self, record: Record) -> Record:
        """Refused."""
        raise LogError("the log was opened for reading", place=str(self.path))

    def close(self) -> None:
        """Nothing to let go."""


class SweepLog:
    """The open log of one sweep, held by one driver."""

    def __init__(self, path: Path, *, create: bool = False) -> None:
        """Open and lock; cut a torn last line.

        Raises:
            LogError: damaged, or another driver holds it.
        """
        flags = os.O_RDWR | os.O_APPEND | (os.O_CREAT | os.O_EXCL if create else 0)
        if not create and not path.is_file():
            read(path)
        self.path = path
        self._file = os.open(path, flags, 0o644)
        try:
            self._lock()
            self.records, sound = ([], 0) if create else read(path)
        except LogError:
            os.close(self._file)
            raise
        self.torn_bytes = os.fstat(self._file).st_size - sound
        if self.torn_bytes:
            os.ftruncate(self._file, sound)
            os.fsync(self._file)
        if create:
            self._sync_folder()

    def append(self, record: Record) -> Record:
        """Write one record, stamped with the time, and return it once it is on disk."""
        record = {**record, "ts": int(time.time() * 1000)}
        line = encode(record)
        if os.write(self._file, line) != len(line):
            raise LogError(
                "the disk took only part of a line", place=str(self.path), hint="free disk space, then resume"
            )
        os.fdatasync(self._file)
        self.records.append(record)
        return record

    def close(self) -> None:
        """Let the lock go."""
        os.close(self._file)

    def _lock(self) -> None:
        deadline = time.monotonic() + LOCK_TIMEOUT_S
        while True:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise LogError(
                        "another process is running this sweep",
                        place=str(self.path),
                        hint="wait for it, or stop it with Ctrl-C",
                    ) from None
                time.sleep(0.05)
            else:
                return

    def _sync_folder(self) -> None:
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
