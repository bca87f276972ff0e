"""Whoever runs a sweep's driver: what is asked of it, the same for this machine and for a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from gatesweep.launch.kuberay import KubeRayCluster
from gatesweep.launch.sections import ClusterConfig, LocalCluster, RayCluster
from gatesweep.launch.submitted import Attempt

State = Literal["pending", "running", "succeeded", "failed", "stopped", "ended", "unknown"]
"""ended: on this machine, where nobody kept the exit code; or, in `status`, once the log says that all is done."""


@dataclass(frozen=True)
class Job:
    """A driver as its runner sees it. Whether a sweep is done is in the sweep's own log, not here."""

    job_id: str
    state: State
    message: str = ""

    @property
    def alive(self) -> bool:
        """Whether it may still write."""
        return self.state in ("pending", "running")


@dataclass(frozen=True)
class Order:
    """One driver to be started."""

    sweep_id: str
    number: int
    job_id: str
    words: tuple[str, ...]
    """What follows `--id`: further arguments of jobs/sweep.py."""

    package: Path | None = None
    """The archive for a cluster."""


class Runner(Protocol):
    """Starts drivers and answers for them."""

    def must_answer(self) -> str:
        """Who answers, in words; ClusterError where nobody does."""
        ...

    def start(self, order: Order) -> Attempt:
        """Start a driver; it goes on without this process."""
        ...

    def job(self, attempt: Attempt) -> Job:
        """How it is."""
        ...

    def attempts(self, sweep_id: str) -> list[Job]:
        """Every driver of the sweep that it knows of, whoever sent it."""
        ...

    def log(self, attempt: Attempt) -> str:
        """All that it said."""
        ...

    def follow(self, attempt: Attempt) -> Iterator[str]:
        """What it says, piece by piece, until it ends."""
        ...

    def stop(self, attempt: Attempt) -> None:
        """Interrupt it: SIGTERM, resumably."""
        ...


def runner_of(cluster: ClusterConfig, home: Path) -> Runner:
    """The runner of a cluster's kind."""
    if isinstance(cluster, RayCluster):
        from gatesweep.launch.jobs import RayJobs

        return RayJobs(cluster)
    if isinstance(cluster, LocalCluster):
        from gatesweep.launch.local import LocalJobs

        return LocalJobs(home, dict(cluster.environment))
    from gatesweep.launch.kube.jobs import KubeJobs

    assert isinstance(cluster, KubeRayCluster), cluster.kind
    return KubeJobs(cluster)
