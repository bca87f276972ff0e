"""A sweep by its id: where it lies, what is remembered of it, who runs its driver, and what its log says now."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gatesweep.config.secrets import resolve_what_is_here
from gatesweep.errors import ClusterError, NotFound
from gatesweep.launch.config import load_cluster
from gatesweep.launch.progress import Progress, fold
from gatesweep.launch.runner import Job, Runner, runner_of
from gatesweep.launch.sections import ClusterConfig
from gatesweep.launch.submitted import Attempt, Submitted, recall
from gatesweep.storage import Place
from gatesweep.sweep.session import UNSENT
from gatesweep.sweep.session import place_of as lies_at
from gatesweep.sweep.where import Where
from gatesweep.track.lease import current
from gatesweep.track.log import read
from gatesweep.track.records import Record

LOG = "log.jsonl"


@dataclass
class Followed:
    """One sweep, seen from here."""

    sweep_id: str
    place: Place
    home: Path
    submitted: Submitted | None
    cluster: ClusterConfig | None

    @property
    def runner(self) -> Runner | None:
        """Whoever runs its driver; none for a sweep in the foreground of some terminal."""
        return runner_of(self.cluster, self.home) if self.cluster else None

    @property
    def attempt(self) -> Attempt | None:
        """The newest driver: the one that was sent from here, or, where none was, the newest that the cluster knows."""
        if self.submitted and self.submitted.newest:
            return self.submitted.newest
        known = self.runner.attempts(self.sweep_id) if self.runner else []
        return Attempt(number_of(known[-1].job_id), known[-1].job_id, "") if known else None

    def job(self) -> Job | None:
        """The newest driver; of unknown state where its cluster does not answer; none where nothing tells of one."""
        try:
            runner, attempt = self.runner, self.attempt
            return runner.job(attempt) if runner and attempt else self.holder()
        except ClusterError as error:
            attempt = self.submitted.newest if self.submitted else None
            return Job(attempt.job_id if attempt else "", "unknown", str(error).partition("\n")[0])

    def holder(self) -> Job | None:
        """Whoever holds the log, as its lease says: for a sweep that nobody submitted, a process in some terminal."""
        with surroundings(self.cluster):
            if not self.place.exists(LOG):
                return None
            lease = current(self.place)
        if lease.is_free:
            return Job("", "stopped")
        return Job("", "running", f"process {lease.holder.pid} on {lease.holder.host}" if lease.holder else "")

    def records(self) -> list[Record]:
        """Its log as it stands; empty before the first record.

        Raises:
            StorageError: the storage cannot be read from here.
            LogError: damaged.
        """
        with surroundings(self.cluster):
            return read(self.place) if self.place.exists(LOG) else []

    def progress(self) -> Progress:
        """Its log, folded."""
        return fold(self.sweep_id, self.records())

    def unsent(self) -> bool:
        """Whether the tracking server lacks some of what the log says."""
        with surroundings(self.cluster):
            return self.place.exists(UNSENT)

    def state(self, progress: Progress, job: Job | None) -> str:
        """What log and driver say together."""
        newest = self.submitted.newest if self.submitted else None
        return progress.state(job, newest.seen if newest else 0)

    @property
    def spec(self) -> dict[str, Any]:
        """The sweep's spec: as it was sent, or as its log has it.

        Raises:
            NotFound: neither is there.
        """
        records = [] if self.submitted else self.records()
        if not (self.submitted or records):
            raise NotFound("its log is empty", place=self.place.address, hint="submit it again, under a new id")
        spec: dict[str, Any] = self.submitted.spec if self.submitted else records[0]["spec"]
        return spec


def number_of(job_id: str) -> int:
    """The attempt's number in a job's id; 0 in one that is not ours."""
    number = job_id.rpartition("-a")[2]
    return int(number) if number.isdigit() else 0


def place_of(sweep_id: str, cluster: ClusterConfig | None, home: Path) -> Place:
    """Where a sweep lies: in its cluster's storage, or in the home folder."""
    return lies_at(sweep_id, home, cluster.where if cluster else Where())


def find(sweep_id: str, home: Path, cluster_file: Path | None = None) -> Followed:
    """The sweep of this id.

    Args:
        cluster_file: for a sweep that was sent from another machine, or whose cluster has another address now.

    Raises:
        NotFound: neither was it sent from here, nor does it lie in the home folder, nor in the cluster's storage.
        ConfigError: the cluster's file names another storage than the one where the sweep lies; or there is none, and
            what is remembered of the cluster is refused.
    """
    given = load_cluster(cluster_file) if cluster_file is not None else None
    submitted = recall(sweep_id, home, given)
    cluster = given or (submitted.cluster if submitted else None)
    followed = Followed(sweep_id, place_of(sweep_id, cluster, home), home, submitted, cluster)
    if submitted is None and not _lies_there(followed):
        where = followed.place.address
        raise NotFound(f"no sweep '{sweep_id}'", place=where,
                       hint="gatesweep list shows the sweeps; one that was sent from another machine is found with"
                            " --cluster configs/clusters/ray.yaml")  # fmt: skip
    return followed


def _lies_there(followed: Followed) -> bool:
    with surroundings(followed.cluster):
        return followed.place.exists(LOG)


@contextlib.contextmanager
def surroundings(cluster: ClusterConfig | None) -> Iterator[None]:
    """What reading a cluster's storage or tracking server takes: its variables, and what secrets this machine has."""
    if cluster is None:
        yield
        return
    kept = dict(os.environ)
    try:
        for name, value in cluster.environment.items():
            os.environ.setdefault(name, value)
        resolve_what_is_here({name: ref for name, ref in cluster.where.secrets.items() if name not in kept})
        yield
    finally:
        os.environ.clear()
        os.environ.update(kept)
