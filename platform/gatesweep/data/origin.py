"""Whoever can deliver bytes by their md5: a DVC remote at any address that fsspec knows, or the first of several.

    RemoteOrigin("s3://bucket/shelf").fetch("0a1b…", target)   <- s3://bucket/shelf/files/md5/0a/1b…   (DVC 3's layout)

What is delivered is not believed here: whoever asks hashes it.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit, urlunsplit

from ..errors import DataError, OriginError
from .stream import chunks

CONNECT_S, STALL_S, ATTEMPTS, PAUSE_S = 10.0, 60.0, 3, 1.0
"""An origin is given up on after so long without a connection or a byte, so many times."""

BLOCK_BYTES = 1 << 24
_NO_RETRY = (FileNotFoundError, PermissionError, ImportError, ValueError, TypeError)


class Origin(Protocol):
    """See the module."""

    address: str
    """For messages; without credentials."""

    def fetch(self, md5: str, target: Path) -> None:
        """Write the object (a file's bytes, or the listing of a `….dir`) to the new file `target`.

        Raises:
            DataError: it is not there, or the origin refuses.
            OriginError: the origin did not answer; a later attempt may do better.
            OSError: `target` cannot be written.
        """


class FirstOf:
    """Several origins, asked in this order; one that does not deliver is passed over."""

    def __init__(self, origins: Sequence[Origin]) -> None:
        self.origins = tuple(origins)
        self.address = ", ".join(origin.address for origin in self.origins)

    def fetch(self, md5: str, target: Path) -> None:
        """See `Origin`; the errors of all are told together."""
        errors: list[DataError] = []
        for origin in self.origins:
            try:
                return origin.fetch(md5, target)
            except DataError as error:
                errors.append(error)
        if len(errors) == 1:
            raise errors[0]
        kind = OriginError if any(isinstance(error, OriginError) for error in errors) else DataError
        told = "; ".join(f"{error.place}: {error.message}" for error in errors)
        raise kind(f"no origin delivered {md5}: {told}", hint=errors[-1].hint)


class RemoteOrigin:
    """A DVC remote: a folder, file://, s3://, http(s)://, or what else fsspec has a library for.

    Args:
        url: as in DVC's configuration; a relative folder counts from the working folder. Credentials come from
            the environment (AWS_* with AWS_ENDPOINT_URL).
        stall_s: an attempt is over after so long without a byte.
    """

    def __init__(self, url: str, *, stall_s: float = STALL_S, attempts: int = ATTEMPTS) -> None:
        self._url = url if "://" in url else str(Path(url).expanduser().absolute())
        self.address = without_credentials(self._url)
        self._stall_s, self._attempts = stall_s, attempts

    def fetch(self, md5: str, target: Path) -> None:
        """See `Origin`."""
        for attempt in range(1, self._attempts + 1):
            try:
                with target.open("wb") as file:
                    for chunk in self._read(md5):
                        file.write(chunk)
                return
            except OriginError:
                if attempt == self._attempts:
                    raise
                time.sleep(PAUSE_S * attempt)

    def _read(self, md5: str) -> Iterator[bytes]:
        """The object's bytes; errors of the reading, and of nothing else, become ours."""
        stream = chunks(lambda: open_url(_object_url(self._url, md5), self._stall_s), self._stall_s)
        while True:
            try:
                chunk = next(stream, b"")
            except Exception as error:  # every storage library raises errors of its own
                raise self._error(error, md5) from None  # theirs may hold the address with its credentials
            if not chunk:
                return
            yield chunk

    def _error(self, error: Exception, md5: str) -> DataError:
        said = self._without_credentials(str(error) or type(error).__name__)
        if isinstance(error, FileNotFoundError):
            return DataError(f"does not hold {md5}", place=self.address, hint="dvc push, where the set is pinned")
        if isinstance(error, PermissionError) or getattr(error, "status", None) in (401, 403):
            return DataError(f"refuses to give {md5}: {said}", place=self.address,
                             hint="credentials come from the environment of the workers, e.g. AWS_ACCESS_KEY_ID")
        if isinstance(error, _NO_RETRY):
            return DataError(f"cannot be read: {said}", place=self.address,
                             hint="for s3:// pip install 'gatesweep[s3]', on every node")
        return OriginError(f"did not deliver {md5}: {said}", place=self.address,
                           hint="is the address right, and does the node reach it?")

    def _without_credentials(self, text: str) -> str:
        """One line of a library's message."""
        line = next(iter(text.strip().splitlines()), "").replace(self._url, self.address)
        return re.sub(r"(\w+://[^\s'\"?]*)\?[^\s'\"]*", r"\1", re.sub(r"//[^/\s@]*@", "//", line))


def without_credentials(url: str) -> str:
    """The address as it may be shown: no user, no password, no signature."""
    if "://" not in url:
        return url
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))


def _object_url(url: str, md5: str) -> str:
    below = f"/files/md5/{md5[:2]}/{md5[2:]}"
    if not url.startswith(("http://", "https://")):
        return url.rstrip("/") + below
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=parts.path.rstrip("/") + below))


def open_url(url: str, stall_s: float) -> contextlib.AbstractContextManager[Any]:
    """What fsspec opens there, with time-outs wherever its library takes them."""
    import fsspec

    protocol = url.partition("://")[0] if "://" in url else "file"
    options, how = _SPECIAL.get(protocol, lambda stall_s: ({}, {}))(stall_s)
    filesystem, path = fsspec.core.url_to_fs(url, skip_instance_cache=protocol != "memory", **options)
    opened: contextlib.AbstractContextManager[Any] = filesystem.open(path, "rb", **how)
    return opened


_Options = tuple[dict[str, Any], dict[str, Any]]


def _s3(stall_s: float) -> _Options:
    client = {"connect_timeout": min(CONNECT_S, stall_s), "read_timeout": stall_s, "retries": {"max_attempts": 1}}
    return ({"config_kwargs": client, "use_listings_cache": False},
            {"block_size": BLOCK_BYTES, "cache_type": "none"})


def _http(stall_s: float) -> _Options:
    import aiohttp

    # by default the whole download must end within five minutes
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=min(CONNECT_S, stall_s), sock_read=stall_s)
    # with a size at hand fsspec streams the one GET; it would ask for it first, and call every failure "not found"
    return {"client_kwargs": {"timeout": timeout, "trust_env": True}}, {"block_size": 0, "size": 1}


_SPECIAL: dict[str, Callable[[float], _Options]] = {"s3": _s3, "s3a": _s3, "http": _http, "https": _http}
