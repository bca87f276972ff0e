"""A sweep's log: append-only, one line per event, on disk before anybody acts on it.

    <8 hex of CRC-32> <JSON>\\n

A line counts once it is durable and no other process has taken the log over. What a dying process left of its last
line is left out; damage anywhere else is an error that names the line, never repaired. How several processes, one
after the other, write one log, each into a segment of its own, stands in `segments`; who may, in `lease`.
"""

from __future__ import annotations

import secrets
import time

from gatesweep.errors import Fenced, LogError, StorageError
from gatesweep.storage import Place
from gatesweep.track import lease
from gatesweep.track.holder import Holder
from gatesweep.track.records import Record
from gatesweep.track.segment import Segment, claim, patiently
from gatesweep.track.segments import decode, encode, fold, holder_of_segment, missing, name_of, read_all

__all__ = ["ReadOnlyLog", "SweepLog", "decode", "encode", "read"]


def read(where: Place) -> list[Record]:
    """The records of a log as it stands; a torn last line is left out.

    Raises:
        LogError: no log there, or a damaged line that is not the last.
    """
    return fold(read_all(where), where.address).records


class ReadOnlyLog:
    """A log's records for who only looks."""

    def __init__(self, where: Place, records: list[Record]) -> None:
        self.path, self.records = f"{where.address}/{name_of(1)}", records

    def append(self, record: Record) -> Record:
        """Refused."""
        raise LogError("the log was opened for reading", place=self.path)

    def close(self) -> None:
        """Nothing to let go."""


class SweepLog:
    """The open log of one sweep, held by one driver."""

    records: list[Record]
    fence: int
    """The number of the segment that is written: it only goes up, from writer to writer."""
    _segment: Segment
    _heartbeat: lease.Heartbeat

    def __init__(self, where: Place, *, create: bool = False) -> None:
        """Open to write; nobody else's later lines are part of the log from now on.

        Raises:
            FileExistsError: there is a log already (`create`).
            LogError: none there, damaged, or another driver is alive and holds it.
        """
        self._where, self.path = where, f"{where.address}/{name_of(1)}"
        self._over: LogError | StorageError | None = None
        self._closed = False
        if create:
            self._create()
        else:
            self._take_over()

    def append(self, record: Record) -> Record:
        """Write one record, stamped with the time, and return it once it is durable and this log still ours.

        Raises:
            Fenced: another process has taken the log over; nobody may act on the record.
            StorageError: no room, or the storage does not answer.
        """
        if self._over:
            raise type(self._over)(self._over.message, place=self._over.place, hint=self._over.hint)
        record = {**record, "ts": int(time.time() * 1000)}
        try:
            if self._segment.is_full:
                self._next_segment()
            self._segment.append(encode(record))
            if patiently(lambda: self._where.exists(name_of(self.fence + 1))):
                raise self._fenced()
        except (LogError, StorageError) as error:
            self._over = error  # a line after half a line would be damage, not a torn end
            raise
        self.records.append(record)
        return record

    def close(self) -> None:
        """Let the log go; idempotent."""
        if not self._closed:
            self._closed = True
            self._over = self._over or LogError("the log is closed", place=self.path, hint="resume the sweep")
            self._segment.close()
            self._heartbeat.stop()

    def _create(self) -> None:
        if self._where.exists(name_of(1)):
            raise FileExistsError(self.path)
        segment = claim(self._where, 1, b"")
        if segment is None:
            raise FileExistsError(self.path)
        self._hold(segment, 1)
        self.records = []

    def _take_over(self) -> None:
        read(self._where)  # nothing is claimed of a log that is damaged or none
        segment = None
        while segment is None:
            fence = lease.wait_until_free(self._where) + 1
            segment = claim(self._where, fence, encode(_lease(fence, claim=secrets.token_hex(8))))
        self._hold(segment, fence)
        try:
            self._begin()
        except BaseException:
            self.close()
            raise

    def _begin(self) -> None:
        """Say what this segment follows; from here on it is part of the log."""
        found = read_all(self._where)
        if self.fence not in found:
            raise missing(self._where, max(found, default=0) + 1)
        chain = fold({fence: data for fence, data in found.items() if fence < self.fence}, self._where.address)
        first = _lease(self.fence, after=chain.fence, follows=chain.sound)
        self._segment.restart(encode(first))
        self.records = [*chain.records, first] if chain.records else []

    def _next_segment(self) -> None:
        """Go on in a new one, of which this process knows what it follows."""
        first = _lease(self.fence + 1, after=self.fence, follows=self._segment.size)
        segment = claim(self._where, self.fence + 1, encode(first))
        if segment is None:
            raise self._fenced()
        self._segment, self.fence = segment, self.fence + 1
        self._heartbeat.fence = self.fence
        self.records.append(first)

    def _hold(self, segment: Segment, fence: int) -> None:
        self._segment, self.fence = segment, fence
        self._heartbeat = lease.Heartbeat(self._where, fence)
        self._heartbeat.start()

    def _fenced(self) -> Fenced:
        holder = holder_of_segment(self._where, self.fence + 1)
        return Fenced("another process has taken this sweep over", place=self.path,
                      hint=f"{Holder.of(holder) if holder else 'it'} goes on with it: nothing to do here")


def _lease(fence: int, **told: object) -> Record:
    """The first line of a segment."""
    holder = Holder.myself().as_dict()
    return {"event": "lease", "fence": fence, "holder": holder, **told, "ts": int(time.time() * 1000)}
