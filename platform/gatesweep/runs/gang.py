"""The workers of one training: started beside this one, which is worker 0, and gone when it is over.

    led(...)   the team of this process and of followers that somebody starts: processes here, Ray's actors in a sweep
    local(...) the same with processes of this machine; of one worker, no team

A worker that dies takes the connections with it, and all others stop with `Parted`. Who asks hears the cause: what the
followers' own ends say is looked at before that symptom is believed. Whatever happens, no follower outlives this.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

from gatesweep.errors import Parted, ResourceError, TrialFailed
from gatesweep.runs import follower_words
from gatesweep.runs.experiment import ExperimentConfig
from gatesweep.train.fit import device_of
from gatesweep.train.team import Before, Seat, Team, arrival, meeting_place

HERE = "127.0.0.1"
PATIENCE_S = 5.0
"""How long the others get to hear that it is over, and to say what ended them."""
HEARD_S = 2.0
"""How long the others have to hear that worker 0 has failed."""
END_S = 10.0
"""How long they get to end by themselves, once they have heard."""


@dataclass(frozen=True)
class Ended:
    """How a follower came to its end."""

    error: Exception | None = None
    """None: with the training, or sent away. `Parted` is a symptom, anything else a cause."""


class Follower(Protocol):
    """A worker that somebody has started."""

    def ended(self) -> Ended | None:
        """None while it lives."""

    def kill(self) -> None:
        """At once; idempotent."""


@contextlib.contextmanager
def led(size: int, host: str, start: Callable[[list[Seat]], Sequence[Follower]], *, device: str = "cpu",
        before: Before = Before()) -> Iterator[Team]:  # fmt: skip
    """A team of which this process is worker 0.

    Args:
        host: an address of this machine that every follower reaches.
        start: starts a follower for each seat.
        before: what the training goes on from.

    Raises:
        Exception: what ended a follower, in the place of `Parted`.
    """
    store = meeting_place(host)
    seats = [Seat(rank, size, host, store.port, before) for rank in range(size)]
    followers = list(start(seats[1:]))
    team: Team | None = None
    try:
        _await_all(store, followers)
        team = Team(seats[0], store, device)
        yield team
    except Parted as error:
        raise _cause(followers) or error from error
    except Exception:
        if team is not None:  # what happened here alone; where it happened to all, they are leaving too
            team.dismiss(timedelta(seconds=HEARD_S))
        raise
    except BaseException:
        if team is not None and not team.dismiss(timedelta(seconds=PATIENCE_S)):
            for follower in followers:  # else leaving waits for them
                follower.kill()
        raise
    finally:
        if team is not None:
            team.leave()
        _end(followers)


def _await_all(store: Any, followers: Sequence[Follower]) -> None:
    """Until every follower is ready to join: data and model are there, so that joining is a matter of a moment."""
    waiting = {arrival(rank) for rank in range(1, len(followers) + 1)}
    while waiting := {key for key in waiting if not store.check([key])}:
        if any(follower.ended() for follower in followers):
            raise Parted("a worker ended before the training began")
        time.sleep(0.05)


def _cause(followers: Sequence[Follower]) -> Exception | None:
    """What ended the first of them that has a cause of its own; None where nobody knows."""
    deadline_s = time.monotonic() + PATIENCE_S
    while True:
        ends = [follower.ended() for follower in followers]
        errors = [end.error for end in ends if end is not None and end.error is not None]
        causes = [error for error in errors if not isinstance(error, Parted)]
        if causes or None not in ends or time.monotonic() > deadline_s:
            return causes[0] if causes else None
        time.sleep(0.05)


def _end(followers: Sequence[Follower]) -> None:
    deadline_s = time.monotonic() + END_S
    while any(follower.ended() is None for follower in followers) and time.monotonic() < deadline_s:
        time.sleep(0.02)
    for follower in followers:
        if follower.ended() is None:
            follower.kill()


@contextlib.contextmanager
def local(config: ExperimentConfig, *, data_md5: Mapping[str, str] | None = None,
          before: Before = Before()) -> Iterator[Team | None]:  # fmt: skip
    """The team that a configuration asks for, of processes of this machine.

    Raises:
        ResourceError: fewer GPUs than workers.
    """
    size, device = config.trainer.workers, device_of(config.trainer)
    if size == 1:
        yield None
        return
    if device != "cpu":
        _check_gpus(size)

    def start(seats: list[Seat]) -> list[LocalFollower]:
        return [LocalFollower(config, dict(data_md5 or {}), seat) for seat in seats]

    with led(size, HERE, start, device=device, before=before) as team:
        yield team


def _check_gpus(size: int) -> None:
    import torch

    if torch.cuda.device_count() < size:
        raise ResourceError(f"trainer.workers: {size} workers on a machine with {torch.cuda.device_count()} GPUs",
                            hint="one worker per GPU, or trainer.accelerator: cpu")  # fmt: skip


class LocalFollower:
    """A process of this machine. Its input stays open as long as this process lives, and it ends when that closes."""

    def __init__(self, config: ExperimentConfig, data_md5: dict[str, str], seat: Seat) -> None:
        self.rank = seat.rank
        paths = os.pathsep.join(path for path in sys.path if path)
        environment = {**os.environ, "PYTHONPATH": paths, "CUDA_VISIBLE_DEVICES": _gpu(seat.rank)}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "gatesweep.runs.follower"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env=environment, start_new_session=True)  # fmt: skip  # Ctrl-C is worker 0's to answer
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(follower_words.order(config.as_dict(), data_md5, seat))
            self._process.stdin.flush()
        self._end: Ended | None = None

    def ended(self) -> Ended | None:
        if self._end is None and self._process.poll() is not None:
            self._end = self._read_end()
        return self._end

    def _read_end(self) -> Ended:
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        said = process.stdout.read()
        process.stdout.close()
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        if said:
            return Ended(follower_words.read_end(said))
        code = process.returncode
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        return Ended(TrialFailed(f"worker {self.rank} died: {how}", hint="a lack of memory is a frequent reason"))

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self.ended()


def _gpu(rank: int) -> str:
    """The device of a worker, of those that this process may see."""
    seen = os.environ.get("CUDA_VISIBLE_DEVICES")
    devices = seen.split(",") if seen else [str(n) for n in range(rank + 1)]
    return devices[rank] if rank < len(devices) else ""
