"""Whether a head that is to be joined and this process agree on TLS: Ray itself waits minutes where they do not."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl

from gatesweep.errors import ConfigError, ResourceError

FILES = ("RAY_TLS_CA_CERT", "RAY_TLS_SERVER_CERT", "RAY_TLS_SERVER_KEY")
LOOK_S = 5.0


def agree_on_tls(address: str) -> None:
    """Look at the head's port as Ray will; nothing is said of a head that does not answer.

    Args:
        address: `host:port`, or `auto` within one of the cluster's jobs.

    Raises:
        ConfigError: RAY_USE_TLS is set, and a file that it needs is not there.
        ResourceError: one of the two speaks TLS and the other does not, or one does not trust the other.
    """
    host, _, port = (os.environ.get("RAY_ADDRESS", "") if address == "auto" else address).rpartition(":")
    ours = os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true")
    context = _of_ray() if ours else _of_nobody()
    if not (host and port.isdigit()):
        return
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=LOOK_S) as connection:
            told = _shake(connection, context, host)
    except OSError:  # no connection, or a head that is too busy to answer: Ray's to say
        return
    theirs = told is None or "ALERT" in told or "CERTIFICATE" in told
    if ours and told is not None:
        distrust, plain = f"they do not trust each other ({told})", "it does not speak TLS, and RAY_USE_TLS is set here"
        why = distrust if theirs else plain
        raise ResourceError(f"cannot join the Ray cluster: {why}", place=address,
                            hint=f"{', '.join(FILES)} are to be of the cluster's own authority, for the address above,"
                                 " and RAY_USE_TLS=1 is to be set on both sides or on none")  # fmt: skip
    if theirs and not ours:
        raise ResourceError("cannot join the Ray cluster: it speaks TLS, and this process does not", place=address,
                            hint=f"set RAY_USE_TLS=1 and {', '.join(FILES)}, as where the nodes were started")


def _shake(connection: socket.socket, context: ssl.SSLContext, host: str) -> str | None:
    """Why there is no TLS between the two; none where there is.

    Raises:
        TimeoutError: the head is silent.
    """
    try:
        with context.wrap_socket(connection, server_hostname=host) as spoken, contextlib.suppress(TimeoutError):
            spoken.settimeout(1.0)
            spoken.recv(1)  # a certificate of ours that is refused is refused only now; a content head is silent
        return None
    except ssl.SSLError as error:
        return str(error.reason or error)
    except TimeoutError:
        raise
    except OSError as error:  # closed in the middle of it
        return type(error).__name__


def _of_ray() -> ssl.SSLContext:
    """What Ray makes of its variables."""
    missing = [name for name in FILES if not os.path.isfile(os.environ.get(name, ""))]
    if missing:
        raise ConfigError(f"RAY_USE_TLS is set, and {', '.join(missing)} names no file", place="environment",
                          hint="the files that the cluster's nodes were started with, or such of the same authority")
    context = ssl.create_default_context(cafile=os.environ[FILES[0]])
    context.load_cert_chain(os.environ[FILES[1]], os.environ[FILES[2]])
    context.set_alpn_protocols(["h2"])
    return context


def _of_nobody() -> ssl.SSLContext:
    """Trusts everybody: only to see whether TLS is spoken."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    return context
