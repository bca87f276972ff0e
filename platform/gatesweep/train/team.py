"""Workers that train one model together: who they are, and the few things that they say to each other.

    add        the sum of a tensor over all workers, the same bits on each
    exchange   the same for a handful of numbers
    gather     one object of every worker, on every worker         from_first   worker 0's, on every worker

Rank 0 is the worker that reports. A worker that is gone shows on the others as `Parted`, a symptom: what ended it is
known to whoever started it (`runs.gang`). Tensors travel by NCCL on GPUs; all else by gloo.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import psutil
import torch
import torch.distributed as dist
from torch import Tensor

from gatesweep.errors import Parted
from gatesweep.train.config import OptimizerConfig

T = TypeVar("T")

INTERFACE = "GLOO_SOCKET_IFNAME"
_GIVEN = os.environ.get(INTERFACE)
SILENT = timedelta(hours=1)
"""How long a worker waits for another whose connection stands; one that dies breaks it at once."""
PARTING = timedelta(seconds=5)
"""How long a worker that was dismissed waits until the others have heard it too."""


class Dismissed(BaseException):
    """Worker 0 has left for reasons outside of the training; no `except Exception` in between may keep it."""


@dataclass(frozen=True)
class Before:
    """What a training goes on from."""

    resumes: bool = False
    """Worker 0 brings a checkpoint."""
    was: OptimizerConfig | None = None
    """What that was trained with, where it may not be what goes on."""


@dataclass(frozen=True)
class Seat:
    """A worker's place in a team, and where the team meets."""

    rank: int
    size: int
    host: str
    """The address of worker 0."""
    port: int
    before: Before = Before()


class Team:
    """The workers of one training, as one of them sees them."""

    def __init__(self, seat: Seat, store: dist.Store, device: str = "cpu") -> None:
        """Join; waits for all others.

        Args:
            device: where this worker trains.

        Raises:
            Parted: one of them did not come.
        """
        self.rank, self.size, self.before, self.device = seat.rank, seat.size, seat.before, device
        self._here, self._store = True, store
        _use_interface_of(seat)
        with _told():
            dist.init_process_group("gloo", store=store, rank=seat.rank, world_size=seat.size, timeout=SILENT)
            self._by_nccl = dist.new_group(backend="nccl") if device != "cpu" else None

    def add(self, tensor: Tensor) -> None:
        """Put the sum over all workers in its place. Its order is fixed by the number of workers alone."""
        with _told():
            dist.all_reduce(tensor, group=self._by_nccl if tensor.is_cuda else None)

    def exchange(self, numbers: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> list[float]:
        """The sum of each over all workers.

        Raises:
            Dismissed: worker 0 says that it leaves.
        """
        said = torch.tensor([0.0, *numbers], dtype=torch.float64)
        with _told():
            dist.all_reduce(said)
        left, *sums = said.tolist()
        if left:
            self._part_together(PARTING)
            raise Dismissed
        return sums

    def gather(self, own: T) -> list[T]:
        """One object of each worker, by rank; an exchange comes first, see `dismiss`."""
        self.exchange()
        found: list[Any] = [None] * self.size
        with _told():
            dist.all_gather_object(found, own)
        return found

    def from_first(self, own: T) -> T:
        """Worker 0's object; an exchange comes first, see `dismiss`."""
        self.exchange()
        found = [own]
        with _told():
            dist.broadcast_object_list(found, src=0)
        return found[0]

    def dismiss(self, patience: timedelta) -> bool:
        """Worker 0 leaves; whether the others have heard of it.

        Whatever they do next together but the sum of gradients begins with an exchange, and that is where they hear.
        """
        said = torch.tensor([1.0, 0.0, 0.0, 0.0], dtype=torch.float64)
        try:
            dist.all_reduce(said, async_op=True).wait(patience)
        except RuntimeError:
            return False
        self._part_together(patience)
        return True

    def _part_together(self, patience: timedelta) -> None:
        """Stay until all have heard that worker 0 leaves: of three, one that goes at once takes along what the last
        one still waits for."""
        self._store.set(f"heard/{self.rank}", "")
        waiting = {f"heard/{rank}" for rank in range(self.size)}
        deadline_s = time.monotonic() + patience.total_seconds()
        with contextlib.suppress(RuntimeError):  # worker 0 is gone, and the meeting place with it
            while time.monotonic() < deadline_s and not self._store.check(sorted(waiting)):
                time.sleep(0.01)

    def leave(self) -> None:
        """Close the connections; idempotent."""
        if self._here:
            self._here = False
            dist.destroy_process_group()


def meeting_place(host: str) -> dist.TCPStore:
    """Where a team of this process's meets, at a free port of `host`."""
    return dist.TCPStore(host, 0, is_master=True, wait_for_workers=False, timeout=SILENT)


def come_to(seat: Seat) -> dist.Store:
    """The meeting place of worker 0, told that this worker is ready."""
    with _told():
        store = dist.TCPStore(seat.host, seat.port, is_master=False, timeout=timedelta(seconds=60))
        store.set(arrival(seat.rank), "")
    return store


def arrival(rank: int) -> str:
    """The key by which a worker says that it is ready."""
    return f"ready/{rank}"


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """What torch raises when another worker is gone, by one name."""
    try:
        yield
    except (RuntimeError, ConnectionError) as error:  # DistError is a RuntimeError
        raise Parted(str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__) from error


def _use_interface_of(seat: Seat) -> None:
    """Let gloo and NCCL speak through the interface that reaches worker 0, unless the user has named one.

    By themselves they resolve the host's name, which on many hosts is a loopback address that no other host reaches.
    """
    if _GIVEN:
        return
    family, kind, _, _, address = socket.getaddrinfo(seat.host, seat.port, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind) as probe:
        probe.connect(address)
        own = probe.getsockname()[0]
    for name, addresses in psutil.net_if_addrs().items():
        if any(each.address.partition("%")[0] == own for each in addresses):
            os.environ[INTERFACE] = name
            os.environ.setdefault("NCCL_SOCKET_IFNAME", name)
