"""What happens to a sweep: who is struck, how it is mended afterwards, and by whom (the operator, never the user)."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hosts import Host
from ray_hosts import Bed

DRIVER, TRAINING, RAYLET = "jobs/sweep.py", "ray::ImplicitFunc", "raylet/raylet"
Story = dict[str, Any]


@dataclass
class Disaster:
    """One strike at a sweep that runs on `bed`."""

    bed: Bed
    rng: random.Random
    story: Story = field(default_factory=dict)
    """What was done, for the record."""

    def strike(self, victim: str) -> None:
        """Do it, and mend what an operator would: after this the cluster is whole again, or soon will be."""
        VICTIMS[victim](self)

    def driver(self) -> None:
        """SIGKILL to the driver."""
        self.story["killed"] = self.bed.cluster.head.kill_processes(DRIVER)

    def worker(self) -> None:
        """SIGKILL to one process that trains; where none does just now, to the first that will."""
        ends = time.monotonic() + 60
        while time.monotonic() < ends:
            training = [process for host in self.bed.cluster.workers for process in host.processes(TRAINING)]
            if training:
                self.rng.choice(training).kill()
                self.story["killed"] = 1
                return
            time.sleep(0.1)

    def node(self) -> None:
        """A worker host loses power; a new machine takes its place after a while."""
        host = self._any_worker()
        host.kill()
        self._wait(5, 25)
        self.bed.cluster.start(host)

    def head(self) -> None:
        """The head loses power, and the driver with it; a new one is started at the same address."""
        self.bed.cluster.head.kill()
        self._wait(0, 15)
        self.bed.cluster.new_head()

    def tracking(self) -> None:
        """The tracking server is killed and away for a while."""
        self.bed.tracking.kill()
        self._wait(2, 40)
        self.bed.tracking.start()

    def network(self) -> None:
        """A worker host is off the network: shortly, so that nobody notices, or until it has been given up."""
        host = self._any_worker()
        host.cut()
        self._wait(1, 30)
        host.mend()
        ends = time.monotonic() + 15  # a node that was given up ends soon after it is back
        while host.processes(RAYLET) and time.monotonic() < ends:
            time.sleep(0.2)
        self.story["given_up"] = not host.processes(RAYLET)
        if self.story["given_up"]:
            self.bed.cluster.start(host)

    def disk(self) -> None:
        """A worker's own disk is full for a while."""
        host = self._any_worker()
        host.fill()
        self._wait(10, 40)
        host.free()

    def _any_worker(self) -> Host:
        host = self.rng.choice(self.bed.cluster.workers)
        self.story["host"] = host.name
        return host

    def _wait(self, shortest_s: float, longest_s: float) -> None:
        self.story["away_s"] = round(self.rng.uniform(shortest_s, longest_s), 1)
        time.sleep(self.story["away_s"])


VICTIMS: dict[str, Callable[[Disaster], None]] = {
    "driver": Disaster.driver,
    "worker": Disaster.worker,
    "node": Disaster.node,
    "head": Disaster.head,
    "tracking": Disaster.tracking,
    "network": Disaster.network,
    "disk": Disaster.disk,
}


def make_whole(bed: Bed) -> None:
    """Whatever is still down from the last sweep is started."""
    cluster = bed.cluster
    if not cluster.head.processes("gcs_server"):
        cluster.new_head()
    for host in cluster.workers:
        if not host.processes(RAYLET):
            cluster.start(host)
        host.free()
    if bed.tracking.process is None or bed.tracking.process.poll() is not None:
        bed.tracking.start()
