"""MLflow, imported late, quietly, and with bounded patience.

Importing it takes 1 to 2 s of CPU, so nothing here runs at import; `quiet` must come before the first `import mlflow`.
What the user set in the environment stays as it is.
"""

from __future__ import annotations

import os
import re
import socket
import sys
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from gatesweep.errors import StoreError

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

ANSWER_TIMEOUT_S = 4.0
_DATABASE_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}

_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",  # what goes wrong is said by us, once, without a traceback
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # the recorder and the projector retry; MLflow's own retries last minutes
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # stdout is the command's answer
    "GIT_PYTHON_REFRESH": "quiet",
}

PERMANENT = frozenset({"INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "MALFORMED_REQUEST"})
"""Error codes that no retry changes: a value MLflow refuses, a run that somebody deleted."""


def quiet() -> None:
    """Telemetry and chatter off, retries bounded: for this process and those that it starts."""
    for key, value in _SETTINGS.items():
        os.environ.setdefault(key, value)


def client(uri: str) -> MlflowClient:
    """A client of the tracking store at `uri`; nothing is asked of it yet."""
    quiet()
    from mlflow.tracking import MlflowClient

    return MlflowClient(tracking_uri=uri)


def is_permanent(error: BaseException) -> bool:
    """Whether trying again is pointless."""
    return getattr(error, "error_code", None) in PERMANENT


def is_server(uri: str) -> bool:
    """Whether a tracking server answers for this address."""
    return uri.startswith(("http://", "https://"))


def public(uri: str) -> str:
    """The address without user and password, for messages."""
    parts = urlsplit(uri)
    if "@" not in parts.netloc:
        return uri
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def must_answer(uri: str) -> None:
    """Ask a tracking server, or the host of a database server, for any sign of life, for a few seconds.

    Raises:
        StoreError: it does not answer.
    """
    parts = urlsplit(uri)
    try:
        if is_server(uri):
            quiet()
            import requests

            requests.get(uri.rstrip("/") + "/health", timeout=(ANSWER_TIMEOUT_S, ANSWER_TIMEOUT_S))
        elif parts.hostname:
            port = parts.port or _DATABASE_PORTS.get(parts.scheme.partition("+")[0], 0)
            if port:
                socket.create_connection((parts.hostname, port), timeout=ANSWER_TIMEOUT_S).close()
    except (OSError, ValueError) as error:  # requests' own are OSErrors; a port may be no number
        raise not_answering(uri, error) from None


def not_answering(uri: str, error: BaseException) -> StoreError:
    """The error of a store that cannot be reached or does not speak MLflow."""
    if isinstance(error, ImportError):
        return StoreError(f"the driver of this database is not installed: {error}", place=public(uri),
                          hint=f"pip install {error.name}")
    refused = re.search(r"failed with error code (401|403)", str(error))
    if refused:
        who = "no such user with that password" if refused[1] == "401" else "not this user, or not what is asked"
        return StoreError(f"the tracking server admits {who} (HTTP {refused[1]})", place=public(uri),
                          hint="set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN,"
                               " as they are at the server")
    return StoreError(f"the tracking server does not answer: {_reason(error)}", place=public(uri),
                      hint="start it, or correct MLFLOW_TRACKING_URI (on a cluster: `tracking` of its file);"
                           " without that variable runs go to the local store")


def _reason(error: BaseException) -> str:
    name = type(error).__name__
    if "Timeout" in name or isinstance(error, TimeoutError):
        return f"nothing within {ANSWER_TIMEOUT_S:g} s"
    if "refused" in str(error):
        return "connection refused"
    first = (str(error).strip().splitlines() or [""])[0]
    return f"{name}: {first[:200]}"


def python() -> list[str]:
    """This Python, never importing from the working folder: a folder named `mlflow` there is not MLflow."""
    return [sys.executable, "-P"]
