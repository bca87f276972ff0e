"""Drivers on a Ray cluster, by its Job API. Every failure becomes one message that names the address."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import shlex
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from gatesweep.config.secrets import value_of
from gatesweep.errors import ClusterError, ConfigError, GatesweepError, NotFound
from gatesweep.launch.runner import Job, Order, State
from gatesweep.launch.sections import RayCluster
from gatesweep.launch.submitted import Attempt, now

CONNECT_S, ANSWER_S, SEND_S = 5.0, 60.0, 600.0
STOP_S = 60
"""What a driver gets to close its books before Ray kills it; Ray's own default is 3."""
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
            raise _in_words(error, place) from None

    def _client(self) -> Any:
        token = self._token()
        tls = self.cluster.tls
        with _no_other_address():
            client = _client_type()(
                self.cluster.address,
                headers={"Authorization": f"Bearer {token}"} if token else {},
                verify=str(Path(tls.ca).expanduser()) if tls.ca else True,
            )
        client.present(tls.cert, tls.key)
        client.sends_token = token is not None
        return client

    def _token(self) -> str | None:
        """Ray's token, where this machine has one; sent as a header, never put into the environment."""
        reference = self.cluster.auth.token
        if reference is not None:
            return value_of(reference.as_dict(), "auth.token").strip()
        file = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or TOKEN_FILE).expanduser()
        if file.is_file():
            return value_of({"file": str(file)}, "auth.token").strip()
        return os.environ.get("RAY_AUTH_TOKEN")


def runtime_variables(cluster: RayCluster) -> dict[str, str]:
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


@contextlib.contextmanager
def _no_other_address() -> Iterator[None]:
    """Ray prefers what the environment says to what it is told."""
    names = ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS")
    kept = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)


def _client_type() -> Any:
    """Ray's client, with deadlines and with a certificate of its own."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    from ray.job_submission import JobSubmissionClient

    for name in ("dashboard_sdk", "job.sdk"):  # they set levels of their own, and tell of every upload
        logging.getLogger(f"ray.dashboard.modules.{name}").setLevel(logging.ERROR)

    class Client(JobSubmissionClient):
        _certificate: tuple[str, str] | str | None = None
        sends_token = False

        @property
        def ray_version(self) -> str:
            return str(self._server_ray_version)

        def present(self, cert: str | None, key: str | None) -> None:
            if cert is None:
                return
            files = [str(Path(name).expanduser()) for name in (cert, key) if name]
            self._certificate = (files[0], files[1]) if len(files) == 2 else files[0]
            self._ssl_context = self._ssl_context or ssl.create_default_context()
            self._ssl_context.load_cert_chain(*files)

        def _do_request(self, method: str, endpoint: str, **words: Any) -> Any:
            patience = (CONNECT_S, SEND_S if method == "PUT" else ANSWER_S)
            return super()._do_request(method, endpoint, timeout=patience, cert=self._certificate, **words)

    return Client


def _pieces(tail: AsyncIterator[str], skip: int) -> Iterator[str]:
    """An asynchronous stream of text as a plain one, without its first `skip` characters."""
    loop = asyncio.new_event_loop()
    try:
        while True:
            try:
                piece = loop.run_until_complete(anext(tail))
            except StopAsyncIteration:
                return
            if piece[skip:]:
                yield piece[skip:]
            skip = max(0, skip - len(piece))
    finally:
        loop.run_until_complete(tail.aclose())  # type: ignore[attr-defined]
        loop.close()


def _in_words(error: Exception, place: str) -> Exception:
    """What of Ray's and of requests' errors a user can act on."""
    text = str(error)
    if type(error).__name__ == "AuthenticationError":
        wanted = "asks for a token" if "required" in text else "does not accept this machine's token"
        return ClusterError(f"the cluster {wanted}", place=place,
                            hint="auth: {token: {file: ~/.ray/auth_token}}: the token that the cluster started with")
    if "status code 404" in text and "/api/" not in text and "job" in text.lower():
        return NotFound("the cluster knows no such job", place=place, hint="gatesweep resume ID sends it again")
    if "status code 413" in text:
        return ClusterError("the cluster takes no package of this size", place=place,
                            hint="package: {limit_mb: …, exclude: […]} in the cluster's file")
    if isinstance(error, FileNotFoundError):
        return ConfigError(f"tls.ca: {text}", place=place, hint="the file with the authority's certificates")
    lines = [line for line in text.splitlines() if line.strip(" .")] or [type(error).__name__]
    first = lines[-1 if "Traceback" in text else 0]
    if isinstance(error, OSError):
        return ClusterError(f"the cluster does not answer: {_why(error, first)}", place=place,
                            hint="is it running, and is `address:` that of its dashboard, http://host:8265? A firewall"
                                 " may want a tunnel: ssh -L 8265:localhost:8265 host")  # fmt: skip
    if not isinstance(error, RuntimeError | ValueError):
        return error  # nothing of the cluster's: our fault, with its traceback
    return ClusterError(f"the cluster refused: {first[:500]}", place=place, hint="the head's dashboard.log says more")


def _why(error: Exception, first: str) -> str:
    text = str(error)
    if "refused" in text or "Failed to connect" in text:
        return "no connection"
    if "timed out" in text or "Timeout" in type(error).__name__:
        return f"nothing within {ANSWER_S:g} s" if "read" in text.lower() else f"no connection within {CONNECT_S:g} s"
    if "CERTIFICATE" in text or "SSL" in text:
        return "its certificate is not trusted; name the authority in `tls: {ca: …}`"
    return first[:300]
