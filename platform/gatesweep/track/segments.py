"""A log in segments, each written by one opening of the log alone, and which bytes of each belong to the log.

    log.jsonl         fence 1
    log.0002.jsonl    fence 2, and so on: the numbers have no gaps

Who opens the log to write claims the next number by exclusive create; then reads the segment before; then begins its
own with a line that fixes how much of the one before is part of the log:

    claimed   {"event": "lease", "fence": 3, "holder": {…}, "claim": "<nonce>"}
    begun     {"event": "lease", "fence": 3, "holder": {…}, "after": 2, "follows": 8123}

The log is the chain from the highest begun segment back to the first. Whatever an earlier writer appends after it was
followed is not in the chain; whatever it had acted on is, for it looks for a higher number between writing a line and
acting on it: a line written before the claim was there to be read, and one written after it finds the claim.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count

from gatesweep.errors import LogError
from gatesweep.storage import Place
from gatesweep.track.records import EVENTS, VERSION, Record

_HINT = "restore the file from a backup; runs that it recorded are still in the tracking store"


def name_of(fence: int) -> str:
    """The file of a segment."""
    return "log.jsonl" if fence == 1 else f"log.{fence:04d}.jsonl"


def encode(record: Record) -> bytes:
    """One line of the log: `<8 hex of CRC-32> <JSON>`."""
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


@dataclass(frozen=True)
class Chain:
    """A log as it stands."""

    records: list[Record]
    fence: int
    """Of the newest segment that has begun."""
    sound: int
    """Bytes of that segment, without a torn last line."""


def read_all(where: Place) -> dict[int, bytes]:
    """Every segment's bytes, by fence. The newest is read first: of those before, it names no byte that came later."""
    newest = next(fence for fence in count() if not where.exists(name_of(fence + 1)))
    return {fence: where.read(name_of(fence)) for fence in range(newest, 0, -1)}


def missing(where: Place, fence: int) -> LogError:
    """The error of a segment that was there and is not."""
    return LogError("this part of the log is missing", place=f"{where.address}/{name_of(fence)}", hint=_HINT)


def fold(segments: Mapping[int, bytes], address: str) -> Chain:
    """The records of a log; a torn last line is left out.

    Raises:
        LogError: no log there, or a damaged line that is not the last.
    """
    if not segments:
        raise LogError("no log of a sweep", place=f"{address}/{name_of(1)}",
                       hint="gatesweep list shows the sweeps of this home folder")
    chain, newest, sound = _chain(segments, address), 0, 0
    records: list[Record] = []
    for newest, limit in chain:
        lines, sound = _lines(segments[newest], limit, f"{address}/{name_of(newest)}")
        records += lines
    while records and records[0]["event"] == "lease":  # of a log whose first opening died before its first record
        del records[0]
    if records and (records[0]["event"] != "sweep" or records[0].get("version") != VERSION):
        raise LogError("line 1 does not open a sweep that this version can read",
                       place=f"{address}/{name_of(1)}", hint=_HINT)
    return Chain(records, newest, sound)


def _chain(segments: Mapping[int, bytes], address: str) -> list[tuple[int, int | None]]:
    """Segments of the log and how many of their bytes belong to it (None: what is sound), the oldest first."""
    leases = {fence: _lease(data, f"{address}/{name_of(fence)}") for fence, data in segments.items() if fence > 1}
    fence, limit = max((f for f, lease in leases.items() if lease and "follows" in lease), default=1), None
    chain: list[tuple[int, int | None]] = [(fence, limit)]
    while fence > 1:
        lease = leases[fence]
        if lease is None or not 1 <= lease.get("after", 0) < fence or "follows" not in lease:
            raise LogError("the line that says what came before is damaged", place=f"{address}/{name_of(fence)}",
                           hint=_HINT)
        fence, limit = lease["after"], lease["follows"]
        chain.append((fence, limit))
    return chain[::-1]


def _lease(data: bytes, place: str) -> Record | None:
    """A segment's first line; None where its opening died before that was whole."""
    line, end, _ = data.partition(b"\n")
    if not end:
        return None
    record = decode(line + end)
    if record is None or record["event"] != "lease":
        raise LogError("line 1 is damaged", place=place, hint=_HINT)
    return record


def _lines(data: bytes, limit: int | None, place: str) -> tuple[list[Record], int]:
    """A segment's records and their size in bytes."""
    records: list[Record] = []
    sound = 0
    lines = data[:limit].splitlines(keepends=True)
    for number, line in enumerate(lines, 1):
        record = decode(line)
        if record is None:
            if number < len(lines) or limit is not None:
                raise LogError(f"line {number} is damaged", place=place, hint=_HINT)
            break
        records.append(record)
        sound += len(line)
    if limit is not None and sound < limit:
        raise LogError(f"{limit - sound} bytes are missing at its end", place=place, hint=_HINT)
    return records, sound


def holder_of_segment(where: Place, fence: int) -> Mapping[str, object] | None:
    """Who claimed a segment, as its first line says."""
    try:
        lease = _lease(where.read(name_of(fence)), f"{where.address}/{name_of(fence)}") if fence > 1 else None
    except FileNotFoundError:
        return None
    return lease.get("holder") if lease else None
