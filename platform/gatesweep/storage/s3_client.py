"""The s3fs client of this process, and calls of it that end in time, whatever the other side does."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Any

from gatesweep.errors import StorageError

CONNECT_S, READ_S, ATTEMPTS = 3.0, 10.0, 3
CALL_S = 20.0
"""One call with its attempts: an endpoint that is absent or deaf is an error after seconds, not minutes."""
_NAMED = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
          "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_CA_BUNDLE", "AWS_EC2_METADATA_DISABLED")  # fmt: skip


def client() -> Any:
    """For this process and its environment of now: notebooks and tests change theirs."""
    return _client(os.getpid(), *(os.environ.get(name) for name in _NAMED))


@lru_cache(maxsize=4)
def _client(*surroundings: object) -> Any:
    try:
        import s3fs
    except ImportError as error:
        raise StorageError("s3:// needs a library that is not installed", place=str(error.name),
                           hint="pip install 'gatesweep[s3]'") from None
    made = s3fs.S3FileSystem(
        use_listings_cache=False, skip_instance_cache=True,
        config_kwargs={"connect_timeout": CONNECT_S, "read_timeout": READ_S,
                       "retries": {"max_attempts": ATTEMPTS - 1, "mode": "standard"}})  # fmt: skip
    made.retries = 1  # botocore's attempts are enough; s3fs would multiply them
    return made


def within(seconds: float, on: Any, call: Callable[..., Awaitable[Any]], *told: Any, **named: Any) -> Any:
    """What a coroutine of the client `on` returns; cancelled when time is up.

    Timeouts of connections are not enough: a put waits without one for the `100 Continue` of a store that is deaf.
    """
    from fsspec.asyn import sync

    async def limited() -> Any:
        return await asyncio.wait_for(call(*told, **named), seconds)

    return sync(on.loop, limited)
