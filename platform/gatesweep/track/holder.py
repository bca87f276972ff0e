"""Which process holds something, and whether it is dead for certain.

A process of another host may be alive or not: nothing here can tell. Hosts are told apart by what a process sees of
others: the kernel's boot, and the namespaces of processes, of the network and of the host's name (containers).
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Holder:
    """One process of one boot of one host."""

    host: str
    boot_id: str
    """Of the kernel, and the namespaces."""
    pid: int
    started: int
    """Clock ticks from the boot to the start of the process: a number that was used again is another process."""

    @classmethod
    def myself(cls) -> Holder:
        """This process."""
        pid = os.getpid()
        return cls(socket.gethostname(), _boot(pid), pid, _started(pid) or 0)

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Holder:
        """From the mapping that `as_dict` gave."""
        return cls(**{field.name: told[field.name] for field in fields(cls)})

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"

    @property
    def is_here(self) -> bool:
        """Whether this process sees it among its own host's."""
        here = Holder.myself()
        return bool(self.boot_id) and (self.host, self.boot_id) == (here.host, here.boot_id)

    @property
    def is_dead(self) -> bool:
        """Of this very host, and gone for certain."""
        if not self.is_here:
            return False
        if not _exists(self.pid):
            return True
        started = _started(self.pid)
        return started is not None and started != self.started


@lru_cache(maxsize=2)
def _boot(pid: int) -> str:
    """Empty where the system does not say."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        spaces = [os.readlink(f"/proc/self/ns/{kind}").strip(f"{kind}:[]") for kind in ("pid", "net", "uts")]
    except OSError:
        return ""
    return "/".join([boot, *spaces])


def _exists(pid: int) -> bool:
    """Also of another user's process, of which /proc may say nothing."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _started(pid: int) -> int | None:
    """Of a living process; -1 for one that is dead and not buried; None where that cannot be seen."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return -1 if after_name[0] in "ZX" else int(after_name[19])
