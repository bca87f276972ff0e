"""Ray's client for jobs, with deadlines and certificates; and what its errors mean to a user."""

from __future__ import annotations

import contextlib
import logging
import os
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gatesweep.errors import AttemptExists, ClusterError, ConfigError, NotFound
from gatesweep.launch.sections import Tls

CONNECT_S, ANSWER_S, SEND_S = 5.0, 60.0, 600.0


def connect(address: str, token: str | None, tls: Tls) -> Any:
    """A client of the job server at `address`, which has answered. It has `ray_version` and `sends_token`.

    Raises:
        ConfigError: a file of `tls` is not there.
    """
    ca, cert, key = (_file(name, getattr(tls, name)) for name in ("ca", "cert", "key"))
    if key and not cert:
        raise ConfigError("tls.key: is the key of no certificate", place=address, hint="tls: {cert: …, key: …}")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with _no_other_address():
        return _client_type()(address, headers=headers, verify=ca or True, certificate=cert and (cert, key))


def _file(name: str, said: str | None) -> str | None:
    if said is None:
        return None
    path = Path(said).expanduser()
    if not path.exists():
        hints = {"ca": "the file with the authority's certificates", "cert": "the file with this machine's certificate",
                 "key": "the file with the key of tls.cert"}  # fmt: skip
        raise ConfigError(f"tls.{name}: {path} does not exist on this machine", hint=hints[name])
    return str(path)


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
        def __init__(self, address: str, *, certificate: tuple[str, str | None] | None, **words: Any) -> None:
            self._certificate = certificate[0] if certificate and certificate[1] is None else certificate
            self.sends_token = bool(words["headers"])
            super().__init__(address, **words)  # asks for the version, with the certificate
            if certificate:
                self._ssl_context = self._ssl_context or ssl.create_default_context()
                self._ssl_context.load_cert_chain(*certificate)

        @property
        def ray_version(self) -> str:
            return str(self._server_ray_version)

        def _do_request(self, method: str, endpoint: str, **words: Any) -> Any:
            patience = (CONNECT_S, SEND_S if method == "PUT" else ANSWER_S)
            return super()._do_request(method, endpoint, timeout=patience, cert=self._certificate, **words)

    return Client


def in_words(error: Exception, place: str) -> Exception:
    """What of Ray's and of requests' errors a user can act on."""
    text = str(error)
    if type(error).__name__ == "AuthenticationError":
        wanted = "asks for a token" if "required" in text else "does not accept this machine's token"
        return ClusterError(f"the cluster {wanted}", place=place,
                            hint="auth: {token: {file: ~/.ray/auth_token}}: the token that the cluster started with")
    if "status code 404" in text and "/api/" not in text and "job" in text.lower():
        return NotFound("the cluster knows no such job", place=place, hint="gatesweep resume ID sends it again")
    if "already exists" in text:
        return AttemptExists("this attempt is on the cluster already: somebody else was faster", place=place,
                             hint="gatesweep status ID follows it")
    if "Version check returned 404" in text:
        return ClusterError("something answers there, but it is not Ray's dashboard", place=place,
                            hint="`address:` is that of the head's dashboard, http://host:8265")
    if "status code 413" in text:
        return ClusterError("the cluster takes no package of this size", place=place,
                            hint="package: {limit_mb: …, exclude: […]} in the cluster's file")
    lines = [line for line in text.splitlines() if line.strip(" .")] or [type(error).__name__]
    first = lines[-1 if "Traceback" in text else 0]
    if isinstance(error, OSError):
        return ClusterError(f"the cluster does not answer: {_why(error, first, place)}", place=place,
                            hint="is it running, and is `address:` that of its dashboard, http://host:8265? A firewall"
                                 " may want a tunnel: ssh -L 8265:localhost:8265 host")  # fmt: skip
    if not isinstance(error, RuntimeError | ValueError):
        return error  # nothing of the cluster's: our fault, with its traceback
    return ClusterError(f"the cluster refused: {first[:500]}", place=place, hint="the head's dashboard.log says more")


def _why(error: Exception, first: str, place: str) -> str:
    text = " ".join(str(each) for each in _and_what_led_to(error))
    if "CERTIFICATE_REQUIRED" in text or ("Connection aborted" in text and place.startswith("https")):
        return "it ends the connection; if it asks for a certificate of this machine, `tls: {cert: …, key: …}` names it"
    if "CERTIFICATE" in text or "UNKNOWN_CA" in text:
        return "its certificate is not trusted; name the authority in `tls: {ca: …}`"
    if "WRONG_VERSION_NUMBER" in text:
        return "it does not speak https"
    if "timed out" in text or "Timeout" in type(error).__name__:
        return f"nothing within {ANSWER_S:g} s" if "read" in text.lower() else f"no connection within {CONNECT_S:g} s"
    if "refused" in text or "Failed to connect" in text:
        return "no connection"
    return first[:300]


def _and_what_led_to(error: BaseException) -> Iterator[BaseException]:
    """Ray keeps the reason of "Failed to connect" for itself; the exception that it comes from has it."""
    found: BaseException | None = error
    while found is not None:
        yield found
        found = found.__cause__ or found.__context__
