"""Deaths that nobody could report: the driver has Ray's words for them, and reads those.

    Ray 2.60 says                                                      class
    "running low on memory" (Ray's memory monitor)                     out_of_memory
    "its node has died", "is unavailable", "was preempted", …          node_lost
    "ray::…" and a traceback: an exception that left the attempt       what that exception means in a worker
    anything else, or nothing                                          crash

The words are in the text file that Tune writes. Beside it lies the exception as a pickle: that is what came from a
worker, and it is not opened.
"""

from __future__ import annotations

import builtins
import contextlib
import hashlib
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from gatesweep import errors
from gatesweep.sweep.failures import Death, from_exception

_LOST = re.compile(
    r"its node has died|node was terminated|node was preempted|missing too many heartbeats|preempted"
    r"|The actor \w+ is unavailable|is temporarily unavailable"
    r"|LocalRayletDied|NodeDied|OwnerDied|ObjectLost|ActorUnschedulable|PlacementGroup"
)
"""Ray's words for a node that is gone, and for what it took along."""
_HEADING = re.compile(r"^Failure # \d+ \(occurred at .*\)\n", re.MULTILINE)
_COLOUR = re.compile(r"\x1b\[\d*m")
_TASK = re.compile(r"ray::")
_STEP = re.compile(r'^ +File "(?:.*/)?([^"/]+)", line (\d+), in (\S+)', re.MULTILINE)
_RAISED = re.compile(r"^([A-Za-z_][\w.]*)(?:: (.*))?$", re.MULTILINE)


def words_of(trial: Any) -> str:
    """Why Tune's trial died, in Ray's words; empty where there are none."""
    file = Path(trial.error_file or "")
    said = file.read_text(errors="replace") if file.is_file() else ""
    return _COLOUR.sub("", _HEADING.split(said)[-1]).strip()


def from_words(said: str, node: str = "", host: str = "") -> Death:
    """What they mean. `node` and `host`: where the attempt was last heard of."""
    node = node or _found(r"(?:Node Id|ID): ([0-9a-f]{56})", said)
    host = host or _found(r"\b(?:ip|IP)[:=] ?([0-9a-f.:]*[0-9a-f])", said)
    if _TASK.match(said):
        return _of_an_exception(said, node, host)
    short = _short(said)
    if "running low on memory" in said:
        return Death("out_of_memory", f"ended by Ray for want of memory: {short}", node=node, host=host)
    if _LOST.search(said):
        return Death("node_lost", short, node=node, host=host)
    return Death("crash", f"the worker process died: {short}" if said else "the worker process died",
                 node=node, host=host)  # fmt: skip


def _of_an_exception(said: str, node: str, host: str) -> Death:
    """An exception of an attempt that is there as its traceback alone."""
    steps = list(_STEP.finditer(said))
    raised = _RAISED.search(said, steps[-1].end() if steps else 0)
    name, message = (raised[1].rpartition(".")[2], raised[2] or "") if raised else ("Exception", "")
    death = from_exception(_again(name, message), node, host)
    if not death.trace:
        return death
    frames = [f"{step[1]}:{step[2]}:{step[3]}" for step in steps]
    trace = hashlib.sha256("\n".join([name, *frames]).encode()).hexdigest()[:8]
    return replace(death, reason=f"{name}: {message}\n{said}"[:4000], trace=trace)


def _again(name: str, message: str) -> BaseException:
    """An exception of this name, of our own and Python's classes; of another's, one that means nothing special."""
    known = getattr(errors, name, None) or getattr(builtins, name, None)
    number = re.match(r"\[Errno (\d+)\] (.*)", message)
    if not (isinstance(known, type) and issubclass(known, Exception)):
        return RuntimeError(message)
    return known(int(number[1]), number[2]) if number and issubclass(known, OSError) else known(message)


def _found(pattern: str, said: str) -> str:
    found = re.search(pattern, said)
    return found[1] if found else ""


def _short(said: str) -> str:
    """Ray's message without its table of ids."""
    lines = [line.strip() for line in said.splitlines() if line.strip() and not re.match(r"\t\w+: ", line)]
    return " ".join(lines)[:600]


def as_actor_error(error: Exception) -> Exception:
    """An error of Ray as one that Tune knows, with the same words and its class's name."""
    from ray.exceptions import RayActorError, RayTaskError

    if isinstance(error, RayActorError | RayTaskError):
        return error
    return RayActorError(error_msg=f"{type(error).__name__}: {error}")


@contextlib.contextmanager
def every_death_is_told() -> Iterator[None]:
    """Tune ends the whole run at errors of Ray that it does not know: a worker ended by Ray's memory monitor is one."""
    from ray.air.execution._internal.actor_manager import RayActorManager

    original = RayActorManager._actor_task_failed

    def known(self: Any, tracked_actor_task: Any, exception: Exception) -> None:
        original(self, tracked_actor_task=tracked_actor_task, exception=as_actor_error(exception))

    RayActorManager._actor_task_failed = known  # type: ignore[method-assign]
    try:
        yield
    finally:
        RayActorManager._actor_task_failed = original  # type: ignore[method-assign]
