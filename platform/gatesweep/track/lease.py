"""Who writes a sweep's log, and whether they still do: `lease.json`, renewed while its holder lives.

Whoever wants to take over waits until the lease was not renewed for `TTL_S` by its own clock (clocks of hosts are never
compared), or takes over at once where the holder let go, or is a dead process of this same host. It is a courtesy that
keeps two drivers from taking the log from each other in turn; what keeps the log right is the fence (`segments`).
"""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass

from gatesweep.errors import LogError, StorageError
from gatesweep.storage import Place
from gatesweep.track.holder import Holder
from gatesweep.track.segments import holder_of_segment, missing, name_of

NAME = "lease.json"
TTL_S = 15.0
"""Without renewal for so long, a holder on another host counts as gone."""
HELD_S = 10.0
"""How long a living holder is waited for: a killed process takes a moment to be buried."""


@dataclass(frozen=True)
class Lease:
    """The newest claim on a log."""

    fence: int
    holder: Holder | None
    """None: not said, as in logs of before leases."""
    released: bool = False
    beat: int = 0
    """Goes up with each renewal."""

    @property
    def is_free(self) -> bool:
        """Whether nobody needs to be waited for."""
        return self.released or self.holder is None or self.holder.is_dead

    def encode(self) -> bytes:
        holder = self.holder.as_dict() if self.holder else None
        told = {"fence": self.fence, "holder": holder, "released": self.released, "beat": self.beat}
        return json.dumps(told).encode() + b"\n"


def current(where: Place) -> Lease:
    """The newest claim: what `lease.json` says, unless a later segment has been claimed since.

    Raises:
        LogError: the segment of the written lease is not there.
    """
    lease = _written(where)
    top = lease.fence
    if top and not where.exists(name_of(top)):
        raise missing(where, top)
    while where.exists(name_of(top + 1)):
        top += 1
    if top == lease.fence:
        return lease
    told = holder_of_segment(where, top)
    return Lease(top, Holder.of(told) if told else None)


def is_held(where: Place) -> bool:
    """Whether somebody is writing this log now: looked at once on this host, for as long as `TTL_S` for another's."""
    start, seen = time.monotonic(), current(where)
    while not seen.is_free:
        if seen.holder is not None and seen.holder.is_here:
            return True
        if time.monotonic() - start >= TTL_S:
            return False
        time.sleep(TTL_S / 15)
        if current(where) != seen:
            return True
    return False


def _written(where: Place) -> Lease:
    try:
        told = json.loads(where.read(NAME))
        holder = Holder.of(told["holder"]) if told["holder"] else None
        return Lease(int(told["fence"]), holder, bool(told["released"]), int(told["beat"]))
    except FileNotFoundError:
        return Lease(0, None)
    except (ValueError, KeyError, TypeError):  # not ours, or mended by hand: the segments say who claimed them
        return Lease(0, None)


def wait_until_free(where: Place) -> int:
    """Wait for the holder to let go, to die or to fall silent; returns the newest claim's fence.

    Raises:
        LogError: the holder is alive.
    """
    start = since = time.monotonic()
    seen, renewed = current(where), False
    while not seen.is_free:
        here = seen.holder is not None and seen.holder.is_here
        if (here or renewed) and time.monotonic() - start >= HELD_S:
            raise LogError("another process is running this sweep", place=f"{where.address}/{name_of(1)}",
                           hint=f"it is {seen.holder}: wait for it, or stop it with Ctrl-C")
        if not here and time.monotonic() - since >= TTL_S:
            break
        time.sleep(0.05 if here else TTL_S / 30)
        lease = current(where)
        if lease != seen:
            seen, since, renewed = lease, time.monotonic(), True
    return seen.fence


class Heartbeat:
    """Renews a lease until it is let go or its process dies."""

    def __init__(self, where: Place, fence: int) -> None:
        self.fence = fence
        self._where, self._holder, self._beat = where, Holder.myself(), 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sweep-lease", daemon=True)

    def start(self) -> None:
        """Write the lease, and go on writing it."""
        self._renew()
        self._thread.start()

    def stop(self) -> None:
        """Let go: another process may take over at once."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()
        self._renew(released=True)

    def _run(self) -> None:
        while not self._over.wait(TTL_S / 3):
            self._renew()

    def _renew(self, *, released: bool = False) -> None:
        """Write the lease, unless it is another's by now."""
        self._beat += 1
        fence = self.fence
        try:
            if not self._where.exists(name_of(fence + 1)):
                self._where.write(NAME, Lease(fence, self._holder, released, self._beat).encode())
        except StorageError:
            return  # storage that is away fails the next append, loudly; a lease that was not renewed costs others 15 s
