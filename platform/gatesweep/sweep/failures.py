"""Why an attempt died, and what follows from that.

    class           as a rule                                                              policy
    out_of_memory   torch or the system had no memory left, or Ray's monitor ended it      counted
    node_lost       the host died, was cut off, drained or preempted                       free
    nan             the loss or the objective is no number                                 fail
    bad_data        a node cannot hold the data, or it is not what was pinned              exclude_node
    user_code       an exception out of the task                                           counted
    timeout         no epoch within failure.timeout_s                                      counted
    crash           the process died without a word (a signal, a fault in native code)     counted

free: tried again, and it does not count against `failure.retries`; counted: it does; fail: no other attempt, for it
would end the same way; exclude_node: tried again on another node, this one gets no more trials until a `resume`.
"""

from __future__ import annotations

import errno
import hashlib
import re
import traceback
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Literal, TypedDict, get_args

from gatesweep.errors import (
    DataError,
    NotFinite,
    OriginError,
    Parted,
    ResourceError,
    StorageAway,
    StorageError,
    TrialFailed,
    UserError,
)

Class = Literal["out_of_memory", "node_lost", "nan", "bad_data", "user_code", "timeout", "crash"]
Policy = Literal["free", "counted", "fail", "exclude_node"]

CLASSES: tuple[Class, ...] = get_args(Class)
POLICY: dict[Class, Policy] = {
    "out_of_memory": "counted",
    "node_lost": "free",
    "nan": "fail",
    "bad_data": "exclude_node",
    "user_code": "counted",
    "timeout": "counted",
    "crash": "counted",
}
WORDS: dict[str, str] = {
    "out_of_memory": "out of memory",
    "node_lost": "the node was lost",
    "nan": "not a number",
    "bad_data": "bad data or a full disk",
    "user_code": "an error in the task",
    "timeout": "too slow",
    "crash": "the process died",
}
_DISK = {errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EIO}
_NO_MEMORY = re.compile(r"out of memory|can't allocate memory|not enough memory|cannot allocate memory", re.IGNORECASE)


class _Where(TypedDict):
    node: str
    host: str


@dataclass(frozen=True)
class Death:
    """One attempt's end, as it goes into the log."""

    kind: Class
    reason: str
    trace: str = ""
    """A digest of the stack, the same for the same mistake; empty where there is none."""
    node: str = ""
    """Ray's id of the node, where it is known."""
    host: str = ""
    then: Policy | None = None
    """What follows where that is not the class's own policy."""

    @property
    def policy(self) -> Policy:
        return self.then or POLICY[self.kind]

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON, for the way from a worker to the driver."""
        return {"kind": self.kind, "reason": self.reason, "trace": self.trace, "node": self.node, "host": self.host,
                "then": self.then}  # fmt: skip


class Died(Exception):
    """A death that is known already: that of another worker of the same attempt."""

    def __init__(self, death: Death) -> None:
        super().__init__(death.reason)
        self.death = death


def from_exception(error: BaseException, node: str = "", host: str = "") -> Death:
    """What an exception in a worker means."""
    where = _Where(node=node, host=host)
    if isinstance(error, Died):
        return error.death
    if isinstance(error, Parted):
        return Death("crash", f"another worker of the trial is gone: {error.message}", **where)
    if isinstance(error, NotFinite):
        return Death("nan", str(error), **where)
    if isinstance(error, OriginError):
        return Death("bad_data", str(error), then="counted", **where)
    if isinstance(error, DataError):
        return Death("bad_data", str(error), **where)
    if isinstance(error, StorageAway):
        return Death("node_lost", f"shared storage cannot be reached from here: {error}", **where)
    if isinstance(error, StorageError):
        return Death("bad_data", str(error), then="counted", **where)
    if _is_disk(error):
        return Death("bad_data", f"the node's disk takes nothing: {error}", **where)
    if isinstance(error, MemoryError) or _NO_MEMORY.search(str(error)):
        return Death("out_of_memory", _first(error), **where)
    if isinstance(error, TrialFailed | ResourceError):
        return Death("user_code", str(error), then="fail", **where)
    if isinstance(error, UserError):
        return Death("user_code", str(error), trace=digest(error), **where)
    stack = "".join(traceback.format_exception(error)[-6:])
    return Death("user_code", f"{_first(error)}\n{stack}"[:4000], trace=digest(error), **where)


def _is_disk(error: BaseException) -> bool:
    """A disk that is full, read-only or broken; torch says so in the text of a RuntimeError."""
    if isinstance(error, OSError) and error.errno in _DISK:
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and ("iostream error" in text or "PytorchStreamWriter" in text
                                                or "file write failed" in text)  # fmt: skip


def digest(error: BaseException) -> str:
    """Eight hex digits of an exception's type and the places that it went through: no values, no folders."""
    steps = traceback.extract_tb(error.__traceback__)
    frames = [f"{PurePath(step.filename).name}:{step.lineno}:{step.name}" for step in steps]
    return hashlib.sha256("\n".join([type(error).__name__, *frames]).encode()).hexdigest()[:8]


def _first(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"
