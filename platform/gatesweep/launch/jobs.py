"""Drivers on a Ray cluster, by its Job API. Every failure becomes one message that names the address."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shlex
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from gatesweep.config.secrets import value_of
from gatesweep.errors import ClusterError, GatesweepError, NotFound
from gatesweep.launch.job_client import ANSWER_S, connect, in_words
from gatesweep.launch.runner import Job, Order, State
from gatesweep.launch.sections import ClusterConfig, RayCluster
from gatesweep.launch.submitted import Attempt, now
from gatesweep.sweep.fitting import Node

STOP_S = 60
"""What a driver gets to close its books before Ray kills it; Ray's own default is 3."""
CLOSE_S = 1.0
"""How long the end of a stream of text is waited for."""
TOKEN_FILE = Path("~/.ray/auth_token")
_STATES: dict[str, State] = {"PENDING": "pending", "RUNNING": "running", "SUCCEEDED": "succeeded", "FAILED": "failed",
                             "STOPPED": "stopped"}  # fmt: skip


class RayJobs:
    """Follows `Runner`. Nothing is asked of the cluster before it is needed."""

    def __init__(self, cluster: RayCluster) -> None:
        self.cluster = cluster
        self._known: Any = None

    def must_answer(self) -> str:
        with self._asking() as client:
            open_road = re.match(r"http://(?!localhost|127\.)", self.cluster.address)
            note = "; the address is http, so the token travels unencrypted" if open_road and client.sends_token else ""
            return f"Ray {client.ray_version} answers{note}"

    def start(self, order: Order) -> Attempt:
        environment = runtime_variables(self.cluster)
        driver = self.cluster.resources.driver
        with self._asking() as client:
            client.submit_job(
                entrypoint=shlex.join([self.cluster.python, "jobs/sweep.py", *order.words]),
                submission_id=order.job_id,
                runtime_env={"working_dir": str(order.package), "env_vars": environment},
                metadata={"job_name": order.job_id, "sweep_id": order.sweep_id},
                entrypoint_num_cpus=driver.cpus or None,
                entrypoint_resources=dict(driver.custom) or None,
            )
        return Attempt(order.number, order.job_id, now())

    def job(self, attempt: Attempt) -> Job:
        try:
            with self._asking() as client:
                return _job(client.get_job_info(attempt.job_id))
        except NotFound:  # a head that was started anew does not know its predecessor's jobs
            return Job(attempt.job_id, "unknown", "the cluster knows no such job")

    def attempts(self, sweep_id: str) -> list[Job]:
        with self._asking() as client:
            listed = [job for job in client.list_jobs() if (job.metadata or {}).get("sweep_id") == sweep_id]
        return [_job(job) for job in sorted(listed, key=lambda job: job.start_time or 0) if job.submission_id]

    def nodes(self) -> list[Node]:
        """The living nodes, as Ray's state API tells of them."""
        with self._asking() as client:
            answer = client._do_request("GET", "/api/v0/nodes", params={"detail": True})
            told = answer.json().get("data", {}).get("result", {}).get("result", []) if answer.ok else []
        if not told:
            raise ClusterError("the cluster does not tell of its nodes yet", place=self.cluster.address)
        return [Node(dict(node["resources_total"]), dict(node.get("labels") or {}))
                for node in told if node["state"] == "ALIVE"]  # fmt: skip

    def log(self, attempt: Attempt) -> str:
        with self._asking() as client:
            return str(client.get_job_logs(attempt.job_id))

    def follow(self, attempt: Attempt) -> Iterator[str]:
        """A connection that breaks is made again, and goes on where it was."""
        shown, silent_since = 0, time.monotonic()
        while True:
            try:
                with self._asking() as client:
                    for piece in _pieces(client.tail_job_logs(attempt.job_id), skip=shown):
                        shown, silent_since = shown + len(piece), time.monotonic()
                        yield piece
                if not self.job(attempt).alive:
                    return
            except ClusterError:
                if time.monotonic() - silent_since > ANSWER_S:
                    raise
            time.sleep(1.0)

    def stop(self, attempt: Attempt) -> None:
        with self._asking() as client:
            client.stop_job(attempt.job_id)

    @contextlib.contextmanager
    def _asking(self) -> Iterator[Any]:
        """The client, made at the first question; whatever it raises comes out as one of our errors."""
        place = self.cluster.address
        try:
            self._known = self._known or self._client()
            yield self._known
        except ModuleNotFoundError as error:
            raise ClusterError(f"this machine's Ray has no Job API: {error}", place=place,
                               hint="pip install 'gatesweep[cluster]'") from None
        except GatesweepError:
            raise
        except Exception as error:
            raise in_words(error, place) from None

    def _client(self) -> Any:
        return connect(self.cluster.address, self._token(), self.cluster.tls)

    def _token(self) -> str | None:
        """Ray's token, where this machine has one; sent as a header, never put into the environment."""
        reference = self.cluster.auth.token
        if reference is not None:
            return value_of(reference.as_dict(), "auth.token").strip()
        file = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or TOKEN_FILE).expanduser()
        if file.is_file():
            return value_of({"file": str(file)}, "auth.token").strip()
        return os.environ.get("RAY_AUTH_TOKEN")


def runtime_variables(cluster: ClusterConfig) -> dict[str, str]:
    """The plain variables of driver and workers; `platform` is relative to the package, where both are started."""
    theirs = cluster.environment.get("PYTHONPATH")
    return {
        "RAY_JOB_STOP_WAIT_TIME_S": str(STOP_S),
        **cluster.environment,
        "PYTHONPATH": os.pathsep.join(["platform", ".", *([theirs] if theirs else [])]),
    }


def _job(details: Any) -> Job:
    state = getattr(details.status, "value", str(details.status))
    told = (details.message or "").partition(", last available logs")[0].partition("\n")[0]  # `logs` shows the rest
    return Job(details.submission_id, _STATES.get(state, "unknown"), told)


def _pieces(tail: AsyncIterator[str], skip: int) -> Iterator[str]:
    """An asynchronous stream of text as a plain one, without its first `skip` characters."""

    async def following() -> str | None:
        return await anext(tail, None)

    loop, waiting = asyncio.new_event_loop(), None
    try:
        while True:
            waiting = loop.create_task(following())
            piece = loop.run_until_complete(waiting)
            if piece is None:
                return
            if piece[skip:]:
                yield piece[skip:]
            skip = max(0, skip - len(piece))
    finally:  # after Ctrl-C a piece is still waited for, and its stream cannot be closed before that ends
        if waiting is not None and not waiting.done():
            waiting.cancel()
            loop.run_until_complete(asyncio.wait([waiting], timeout=CLOSE_S))
        closing = loop.create_task(tail.aclose())  # type: ignore[attr-defined]
        loop.run_until_complete(asyncio.wait([closing], timeout=CLOSE_S))
        loop.close()
